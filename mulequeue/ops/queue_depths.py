"""The number of messages in the broker's queues."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any


def queue_depths(app: Any, queues: Iterable[str]) -> Callable[[], dict[str, int]]:
    """Return a function that asks the broker for the number of messages in each queue.

    The function returns an empty dict if the broker does not answer.
    """
    names, lock = list(queues), threading.Lock()

    def read_depths() -> dict[str, int]:
        found: dict[str, int] = {}
        with suppress(Exception), lock, app.connection_for_read(connect_timeout=3) as connection:
            for name in names:
                found[name] = 0  # an empty queue may not exist, which is a channel error
                with suppress(*connection.channel_errors), connection.channel() as channel:
                    found[name] = channel.queue_declare(name, passive=True).message_count
        return found

    return read_depths
