"""An idle worker's log stands still: what Celery says of each run of the poll loop is for DEBUG."""

from __future__ import annotations

import logging

LOGGERS = ("celery.worker.strategy", "celery.app.trace")
"""Celery's loggers of "Task … received" and "Task … succeeded"."""


class QuietPoll(logging.Filter):
    """The poll loop runs up to twice a second for days; errors of it are shown as ever."""

    def filter(self, record: logging.LogRecord) -> bool:
        of = record.args.get("name") if isinstance(record.args, dict) else None
        if of != "mulequeue.poll" or record.levelno != logging.INFO:
            return True
        record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
        return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


_QUIET = QuietPoll()


def quiet_poll() -> None:
    """For this process, and for those that are forked from it."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_QUIET)
