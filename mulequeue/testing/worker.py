"""A real Celery worker in threads of the test process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from celery import signals
from celery.worker import WorkController, state

from mulequeue.errors import ConfigurationError
from mulequeue.testing.settling import Settling

START_SECONDS = 20.0
STOP_SECONDS = 20.0


class _Controller(WorkController):  # type: ignore[misc]
    """Sends the signals that the worker program sends, so that whoever listens to them runs."""

    def __init__(self, **options: Any) -> None:
        self.is_ready = threading.Event()
        super().__init__(**options)

    def on_start(self) -> None:
        super().on_start()
        signals.celeryd_after_setup.send(sender=self.hostname, instance=self, conf=self.app.conf)

    def on_consumer_ready(self, consumer: Any) -> None:
        signals.worker_ready.send(sender=consumer)
        self.is_ready.set()


class Worker(Settling):
    """Runs a Celery app's tasks, from every queue that ``celery worker`` without ``-Q`` takes.

    :param app: configured for its broker already.
    :param concurrency: tasks at once.
    """

    def __init__(self, app: Any, *, concurrency: int = 4) -> None:
        super().__init__(app)
        self._concurrency = concurrency

    @contextlib.contextmanager
    def running(self) -> Iterator[Worker]:
        """Consume while the block runs.

        :raises ConfigurationError: it does not start.
        """
        self.app.finalize()
        # Other threads have no current app of their own.
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
                raise ConfigurationError("The worker of the tests did not start; its log says why.")
            yield self
        finally:
            state.should_terminate = 0
            self.app.control.broadcast("ping")  # its loop looks up from waiting
            thread.join(STOP_SECONDS)
            state.should_terminate = None
