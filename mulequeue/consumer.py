"""A worker's consumer that outlives a restart of Redis."""

from __future__ import annotations

import logging

from celery.worker.consumer import Consumer as CeleryConsumer

logger = logging.getLogger("mulequeue")


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery publishes no types here
    """Named by the Celery setting ``worker_consumer``.

    Celery 5.7 gives unacknowledged messages back while it closes a connection that is lost. While
    Redis refuses connections that fails with an error nobody catches, and the whole worker ends; and
    a worker that polls nearly always holds such a message, the one with the countdown. The message
    is not lost: the broker gives it back after its visibility timeout.
    """

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        try:
            super().on_connection_error_after_connected(exc)
        except (AttributeError, AssertionError) as error:
            logger.warning("the lost connection was not closed: %r", error)
