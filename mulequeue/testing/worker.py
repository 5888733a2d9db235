"""A real Celery worker in threads of the test process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from celery import signals
from celery.worker import WorkController, state

from mulequeue.errors import ConfigurationError
from mulequeue.testing.wait import SettleWaiter

START_SECONDS = 20.0
STOP_SECONDS = 20.0


class _Controller(WorkController):  # type: ignore[misc]
    """A worker that reports when it is ready, and consumes the queues of the app's routes."""

    def __init__(self, **options: Any) -> None:
        self.is_ready = threading.Event()
        super().__init__(**options)

    def on_start(self) -> None:
        super().on_start()
        queues = self.app.amqp.queues
        for name in _routed_queues(self.app) - set(queues.consume_from):
            queues.select_add(name)

    def on_consumer_ready(self, consumer: Any) -> None:
        signals.worker_ready.send(sender=consumer)
        self.is_ready.set()


class Worker(SettleWaiter):
    """Runs a Celery app's tasks.

    It consumes the queues that a worker without ``-Q`` consumes, and those that the app's routes and tasks name.

    :param app: the app, already configured for its broker.
    :param concurrency: the number of concurrent tasks.
    """

    def __init__(self, app: Any, *, concurrency: int = 4) -> None:
        super().__init__(app)
        self._concurrency = concurrency

    @contextlib.contextmanager
    def running(self) -> Iterator[Worker]:
        """Run the worker while the block runs.

        :raises ConfigurationError: the worker does not start.
        """
        self.app.finalize()
        # The worker's threads use the default app.
        self.app.set_current()
        self.app.set_default()
        controller = _Controller(
            app=self.app,
            hostname="mulequeue-tests@localhost",
            pool="threads",
            concurrency=self._concurrency,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        thread = threading.Thread(target=controller.start, name="mulequeue-worker", daemon=True)
        thread.start()
        try:
            if not controller.is_ready.wait(START_SECONDS):
                raise ConfigurationError("The worker of the tests did not start; see its log.")
            yield self
        finally:
            state.should_terminate = 0
            self.app.control.broadcast("ping")  # wakes the consumer loop, which then stops
            thread.join(STOP_SECONDS)
            state.should_terminate = None


def _routed_queues(app: Any) -> set[str]:
    """Return the queues that the app's routes and tasks name; router functions are ignored."""
    routes = [
        value
        for route in app.amqp.routes
        for table in (getattr(route, "map", {}), getattr(route, "patterns", {}))
        for value in table.values()
    ]
    names = [value.get("queue") if isinstance(value, dict) else value for value in routes]
    names += [getattr(task, "queue", None) for task in app.tasks.values()]
    return {str(getattr(name, "name", name)) for name in names if name}
