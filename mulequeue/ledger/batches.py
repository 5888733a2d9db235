"""Batches: what each was made from. Their members are counted with every transition."""

from __future__ import annotations

from collections.abc import Iterable

from mulequeue.ledger.keyspace import Keyspace
from mulequeue.ledger.types import BatchState


class Batches:
    """One record per batch, kept as long as its members."""

    def __init__(self, keys: Keyspace) -> None:
        self._keys = keys

    def open(
        self,
        batch_id: str,
        *,
        size: int,
        digest: str,
        downloads: bool,
        expires: float | None = None,
    ) -> tuple[BatchState, int]:
        """Open a batch for its members, once.

        :param digest: of its inputs; a known batch is not opened with another one.
        :param downloads: whether a member is over only after its download.
        :param expires: unix seconds, after which no member begins.
        :returns: its state, and its size.
        """
        flag = "1" if downloads else ""
        given = (batch_id, size, digest, flag, expires)
        state, size_text = self._keys.run("batch", "open", *given)
        return BatchState(state.decode()), int(size_text)

    def record_sent(self, batch_id: str, count: int, *, is_all: bool) -> None:
        """Record how many members of a batch have been published, and whether these are all."""
        self._keys.run("batch", "sent", batch_id, count, "1" if is_all else "")

    def has_task(self, batch_id: str, task_ids: Iterable[str]) -> bool:
        """Return whether a task publishes the members of a batch, or waits for them.

        :param task_ids: that such a task usually has; the batch names others after their first wait.
        """
        redis, prefix = self._keys.redis, self._keys.prefix
        waiters = redis.hget(f"{prefix}batch:{batch_id}", "waiters") or b""
        names = {*task_ids, *filter(None, waiters.decode().split("\n"))}  # type: ignore[union-attr]
        return bool(redis.exists(*(f"{prefix}transfer:{name}" for name in names)))
