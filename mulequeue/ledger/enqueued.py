"""Ids that were enqueued, to distinguish a generation that waits in the broker from an unknown one."""

from __future__ import annotations

from collections.abc import Iterable

from mulequeue.ledger.keyspace import Part


class Enqueued(Part):
    """Ids of batches, and of tasks that web apps enqueue. They expire after some time."""

    def add(self, names: Iterable[str], *, ttl_seconds: int) -> None:
        """Keep ids for that many seconds."""
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.set(f"{self._prefix}enqueued:{name}", 1, ex=ttl_seconds)
        pipe.execute()

    def has(self, name: str) -> bool:
        """Return whether that task or batch was recorded as enqueued."""
        return bool(self._redis.exists(f"{self._prefix}enqueued:{name}"))
