"""A consumer that keeps the worker running when Redis restarts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.message import Message

logger = logging.getLogger("mulequeue")


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery publishes no types here
    """A consumer for the Celery setting ``worker_consumer``.

    Celery 5.7 returns unacknowledged messages to the broker while it closes a lost connection. If Redis
    refuses connections, this step raises an error that Celery does not catch, and the worker exits. A worker
    that polls nearly always has an unacknowledged message: the poll message with its countdown. Acknowledging
    a message over the lost connection, when its task ends later, raises the same error. This class logs the
    error. No message is lost, because the broker redelivers the message after its visibility timeout.
    """

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Close the lost connection. An error while closing it is logged."""
        try:
            super().on_connection_error_after_connected(exc)
        except (AttributeError, AssertionError) as error:
            logger.warning("a lost connection could not be closed: %r", error)

    def call_soon(self, p: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Acknowledge a message (Celery before 5.7)."""
        return super().call_soon(_ignoring_lost_connection(p), *args, **kwargs)

    def call_soon_ack(self, p: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Acknowledge a message."""
        return super().call_soon_ack(_ignoring_lost_connection(p), *args, **kwargs)


def _ignoring_lost_connection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function``; if it is a method of a message, wrapped to log the errors of a lost connection."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (AttributeError, AssertionError) as error:
            if not isinstance(getattr(function, "__self__", None), Message):
                raise
            logger.warning("a message could not be acknowledged over a lost connection: %r", error)
            return None

    return call
