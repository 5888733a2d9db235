"""The setup of a worker: load modules, consume the internal queues, start the watchdog."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from celery import signals
from celery.bootsteps import StartStopStep

from mulequeue.engine.queues import internal_queue
from mulequeue.settings import Settings
from mulequeue.tasks.log_filter import quiet_poll

logger = logging.getLogger("mulequeue")


@signals.celeryd_after_setup.connect
def load(**_: Any) -> None:
    """Load the modules of the tasks before the pool starts.

    Prefork children share their memory, and greenlets do not import a partly loaded module.
    """
    for name in (
        "engine.submit.handle_message",
        "engine.poll.sweep",
        "engine.followups.download",
        "engine.followups.notify",
        "engine.eager",
        "tasks.watchdog",
    ):
        import_module(f"mulequeue.{name}")
    quiet_poll()


@signals.celeryd_after_setup.connect
def add_internal_queues(instance: Any = None, **_: Any) -> None:
    """Consume both internal queues in a worker without ``-Q``; log those that ``-Q`` leaves out."""
    app = instance.app
    settings = Settings.load(app)
    internal = (settings.poll_queue, settings.wake_queue)
    queues = app.amqp.queues
    if queues._consume_from is None:
        for name in internal:
            if name not in queues.consume_from:
                queues.select_add(internal_queue(app, name))
        return
    missing = [name for name in internal if name not in queues.consume_from]
    if missing:
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
        """Wait for running create requests."""
        drain_at_shutdown()

    terminate = stop


class WatchdogStep(StartStopStep):
    """Run the watchdog while the worker consumes.

    It starts again with each connection to the broker: before Celery 5.6 a lost connection removes all
    repeated calls.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._watchdog: Any = None
        self._entry: Any = None

    def start(self, parent: Any) -> None:
        """Schedule the watchdog on the worker's timer."""
        from mulequeue.tasks.watchdog import WATCH_SECONDS, make_watchdog

        self._watchdog = self._watchdog or make_watchdog(parent.app)
        if self._watchdog is not None:
            self._entry = parent.timer.call_repeatedly(WATCH_SECONDS, self._watchdog)

    def stop(self, parent: Any) -> None:
        """Remove the watchdog from the timer."""
        if self._entry is not None:
            parent.timer.cancel(self._entry)
            self._entry = None

    terminate = stop


@signals.celeryd_init.connect
def add_steps(instance: Any = None, **_: Any) -> None:
    """Add the boot steps to the worker that is being set up."""
    instance.app.steps["worker"].add(DrainStep)
    instance.app.steps["consumer"].add(WatchdogStep)


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def drain_at_shutdown(**_: Any) -> None:
    """Finish running create requests and write the latest counts before the process exits."""
    from mulequeue.engine.worker_context import drain

    drain()
