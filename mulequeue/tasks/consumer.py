"""A worker's consumer that outlives a restart of Redis."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.message import Message

logger = logging.getLogger("mulequeue")


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery publishes no types here
    """Named by the Celery setting ``worker_consumer``.

    Celery 5.7 gives unacknowledged messages back while it closes a connection that is lost. While
    Redis refuses connections that fails with an error nobody catches, and the whole worker ends; and
    a worker that polls nearly always holds such a message, the one with the countdown. The message
    is not lost: the broker gives it back after its visibility timeout. The same error comes from the
    connection that was given up when a task ends later whose message came over it.
    """

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        try:
            super().on_connection_error_after_connected(exc)
        except (AttributeError, AssertionError) as error:
            logger.warning("the lost connection was not closed: %r", error)

    def call_soon(self, p: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Acknowledgements come this way, before Celery 5.7."""
        return super().call_soon(_outliving(p), *args, **kwargs)

    def call_soon_ack(self, p: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Acknowledgements come this way."""
        return super().call_soon_ack(_outliving(p), *args, **kwargs)


def _outliving(settle: Callable[..., Any]) -> Callable[..., Any]:
    """``settle``, which may be a message's ``ack_log_error`` or ``reject_log_error``."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return settle(*args, **kwargs)
        except (AttributeError, AssertionError) as error:
            if not isinstance(getattr(settle, "__self__", None), Message):
                raise
            logger.warning("a message came over a connection that was lost: %r", error)
            return None

    return call
