"""Find out whether another project uses a Redis as its broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from redis import Redis

_MAX_MESSAGES = 1000
_PRIORITY_STEPS = ("", "\x06\x163", "\x06\x166", "\x06\x169")
"""Suffixes of the lists in which kombu keeps a queue: one list per priority."""


def foreign_use(client: Redis, app: Any, *, is_shared: bool) -> str | None:
    """Return why a worker of this app must not take the queues of this Redis, or None.

    A worker discards messages of tasks that it does not know.

    :param client: a client that returns bytes.
    :param is_shared: True: other queues may belong to the same project, so they are accepted.
    """
    app.loader.import_default_modules()
    queue = app.conf.task_default_queue
    unknown = sorted({name for name in _task_names(client, queue) if name not in app.tasks})
    if unknown:
        return (
            f"its queue {queue!r} holds messages of tasks that this app does not have "
            f"({', '.join(unknown[:3])}), and a worker would discard them"
        )
    if is_shared:
        return None
    prefix = "_kombu.binding."
    queues = {key.decode("utf-8", "replace") for key in client.scan_iter(f"{prefix}*", count=1000)}
    names = sorted(name.removeprefix(prefix) for name in queues)
    if names and not any(name.startswith("mulequeue.") for name in names):
        return f"another Celery project uses it (queues {', '.join(names[:3])})"
    return None


def _task_names(client: Redis, queue: str) -> Iterator[str]:
    for step in _PRIORITY_STEPS:
        key = f"{queue}{step}"
        if client.type(key) != b"list":
            continue
        for message in client.lrange(key, -_MAX_MESSAGES, -1):
            try:
                name = json.loads(message)["headers"]["task"]
            except (ValueError, LookupError, TypeError):
                continue  # a message of a program that is not Celery
            yield str(name)
