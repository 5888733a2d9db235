"""The lists in which a Redis broker keeps the messages of a queue."""

from __future__ import annotations

from mulequeue.engine.queues import CREATE_PRIORITY


def creates_of(queue: str) -> str:
    """The list of new generations, which are behind the other messages of the queue."""
    return f"{queue}\x06\x16{CREATE_PRIORITY}"
