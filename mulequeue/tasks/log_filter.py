"""A log filter that shows Celery's lines about poll tasks at level DEBUG only."""

from __future__ import annotations

import logging

LOGGERS = ("celery.worker.strategy", "celery.app.trace")
"""Celery's loggers of "Task … received" and "Task … succeeded"."""


class QuietPoll(logging.Filter):
    """Lower the level of INFO lines about poll tasks to DEBUG.

    A poll task runs up to twice per second. Its errors keep their level.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a line about a poll task, unless the logger shows DEBUG."""
        task_name = record.args.get("name") if isinstance(record.args, dict) else None
        if task_name != "mulequeue.poll" or record.levelno != logging.INFO:
            return True
        record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
        return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


_QUIET = QuietPoll()


def quiet_poll() -> None:
    """Add the filter to Celery's loggers in this process and in its forks."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_QUIET)
