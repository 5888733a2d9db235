"""Cancelling on our side: the API knows no cancel."""

from __future__ import annotations

from mulequeue.ledger.keyspace import Keyspace
from mulequeue.ledger.types import Wake, wake_of


class CancellationStore(Keyspace):
    """A task, or the members of a batch that were not started yet."""

    def cancel(self, task_id: str, *, ttl_seconds: int) -> tuple[str, Wake | None]:
        """Cancel on our side. Answers the state it was in, ``unknown`` for a tombstone."""
        state, *wake = self._run("cancel", task_id, ttl_seconds)
        return state.decode(), wake_of(task_id, wake)

    def cancel_batch(self, batch_id: str, *, ttl_seconds: int | None = None) -> None:
        """Members that were not started yet never will be.

        :param ttl_seconds: how long that is remembered of a batch that nobody has heard of; a
            known one is kept as long as its members.
        """
        key = f"{self.prefix}batch:{batch_id}"
        pipe = self.redis.pipeline()
        pipe.hset(key, "stopped", 1)
        if ttl_seconds is not None:
            pipe.expire(key, ttl_seconds)
        pipe.execute()
