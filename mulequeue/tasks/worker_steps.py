"""What a worker does besides its tasks: load, take the internal queues, start the watchdog."""

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
    """Load what the tasks do before there is a pool.

    Prefork children share it, and greenlets never find a module that another one is just loading.
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
    """A worker started without ``-Q`` takes both internal queues; with ``-Q`` exactly what it says."""
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
            "this worker does not take %s (it was started with -Q); some worker of the fleet has "
            "to: celery -A … worker -Q %s",
            " and ".join(missing),
            ",".join(internal),
        )


class DrainStep(StartStopStep):
    """Before the pool is ended, by whatever kind of shutdown: no create under way is cut off."""

    requires = ("celery.worker.components:Pool",)

    def stop(self, parent: Any) -> None:
        drain_at_shutdown()

    terminate = stop


class WatchdogStep(StartStopStep):
    """The worker consumes: from now on it watches over the poll loop.

    With each connection to the broker anew: before Celery 5.6 a lost one ends all that is repeated.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._watchdog: Any = None
        self._entry: Any = None

    def start(self, parent: Any) -> None:
        from mulequeue.tasks.watchdog import WATCH_SECONDS, make_watchdog

        self._watchdog = self._watchdog or make_watchdog(parent.app)
        if self._watchdog is not None:
            self._entry = parent.timer.call_repeatedly(WATCH_SECONDS, self._watchdog)

    def stop(self, parent: Any) -> None:
        if self._entry is not None:
            parent.timer.cancel(self._entry)
            self._entry = None

    terminate = stop


@signals.celeryd_init.connect
def add_steps(instance: Any = None, **_: Any) -> None:
    """Only the worker that is about to be set up knows which steps it has."""
    instance.app.steps["worker"].add(DrainStep)
    instance.app.steps["consumer"].add(WatchdogStep)


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def drain_at_shutdown(**_: Any) -> None:
    """A worker that is told to go loses neither a create under way nor its latest counts."""
    from mulequeue.engine.worker_context import drain

    drain()
