"""The setup of a worker: load modules, consume the internal queues, start the watchdog."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from celery import current_app, signals
from celery.bootsteps import StartStopStep

from mulequeue.engine.queues import internal_queue
from mulequeue.engine.tracing.sentry import add_event_processor
from mulequeue.errors import ConfigurationError
from mulequeue.settings import Settings
from mulequeue.tasks.shared_task import add_missing

logger = logging.getLogger("mulequeue")
_LOADED = (
    "engine.submit.handle_message",
    "engine.poll.sweep",
    "engine.followups.download",
    "engine.followups.notify",
    "engine.eager",
    "tasks.watchdog",
)
_CELERY_LOGGERS = ("celery.worker.strategy", "celery.app.trace")
"""Celery's loggers of "Task … received" and "Task … succeeded"."""


def quiet_poll(record: logging.LogRecord) -> bool:
    """Lower the level of Celery's INFO lines about poll tasks to DEBUG. Their errors keep their level.

    A poll task runs up to twice per second.

    :returns: False for such a line, unless the logger shows DEBUG.
    """
    task_name = record.args.get("name") if isinstance(record.args, dict) else None
    if task_name != "mulequeue.poll" or record.levelno != logging.INFO:
        return True
    record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
    return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


class SetupStep(StartStopStep):
    """Load the modules of the tasks, register the tasks, and consume the internal queues."""

    def create(self, parent: Any) -> None:
        """Load the modules and the tasks before the pool starts.

        Prefork children then share the memory of the modules, and no greenlet imports a partly loaded module.
        """
        for name in _LOADED:
            import_module(f"mulequeue.{name}")
        for name in _CELERY_LOGGERS:
            logging.getLogger(name).addFilter(quiet_poll)
        add_event_processor()
        add_missing(parent.app)

    def start(self, parent: Any) -> None:
        """Consume both internal queues in a worker without ``-Q``; log those that ``-Q`` leaves out.

        A worker that is embedded in a test consumes both in any case: there is no other worker.
        """
        from celery.apps.worker import Worker

        app = parent.app
        try:
            settings = Settings.load(app)
        except ConfigurationError:
            return  # the watchdog logs it
        internal = (settings.poll_queue, settings.wake_queue)
        queues = app.amqp.queues
        missing = [name for name in internal if name not in queues.consume_from]
        if queues._consume_from is None or not isinstance(parent, Worker):
            for name in missing:
                queues.select_add(internal_queue(app, name))
        elif missing:
            logger.warning(
                "this worker does not consume %s (its -Q does not list them); at least one worker "
                "must: celery -A … worker -Q %s",
                " and ".join(missing),
                ",".join(internal),
            )


class DrainStep(StartStopStep):
    """Wait for running create requests before the pool stops, in a warm and in a cold shutdown."""

    requires = ("celery.worker.components:Pool",)

    def stop(self, parent: Any) -> None:
        drain_at_shutdown()

    terminate = stop


class TracerStep(StartStopStep):
    """Shorten the tracebacks of parked tasks in pools of threads or greenlets, and in a solo pool."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Replace the tracers, which Celery builds at each connection."""
        from mulequeue.tasks.tracer import shorten_tracebacks

        shorten_tracebacks(parent.app, parent.hostname)


class WatchdogStep(StartStopStep):
    """Run the watchdog while the worker is connected to the broker."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    obj: Any = None

    def start(self, parent: Any) -> None:
        """Create the watchdog, after the pool was forked, and start it. Celery stops it."""
        from mulequeue.tasks.watchdog import make_watchdog

        self.obj = self.obj or make_watchdog(parent.app)
        super().start(parent)


@signals.worker_init.connect
def add_steps(sender: Any = None, **_: Any) -> None:
    """Add the boot steps to a worker that is being set up, also to one that a test embeds."""
    sender.app.steps["worker"].update((SetupStep, DrainStep))
    sender.app.steps["consumer"].update((TracerStep, WatchdogStep))


@signals.worker_process_init.connect
def replace_tracers(sender: Any = None, **_: Any) -> None:
    """Shorten the tracebacks of parked tasks in a child process of a prefork pool."""
    from mulequeue.tasks.tracer import shorten_tracebacks

    shorten_tracebacks(current_app, sender)


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def drain_at_shutdown(**_: Any) -> None:
    """Finish running create requests and write the latest counts before the process exits."""
    from mulequeue.engine.worker_context import drain

    drain()
