"""Open batches, and read their progress. Every transition of a member updates the counts of its batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mulequeue.ledger.keyspace import Part
from mulequeue.outcome import OUTCOME_STATUSES

_UNDER_WAY = ("waiting", "submitting", "generating")
BUCKETS = (*_UNDER_WAY, *OUTCOME_STATUSES)
"""Every record is counted in one of these."""


class BatchState(StrEnum):
    """The ledger's answer when a batch is opened."""

    OPENED = "opened"
    PUBLISHED = "published"
    """All its members have been published."""
    STOPPED = "stopped"
    """It was cancelled: members that have not begun never will."""
    OTHER = "other"
    """The ledger knows the batch with other inputs or another model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The progress of a batch."""

    batch_id: str
    size: int
    """Number of members."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Number of members per bucket (:data:`BUCKETS`)."""
    files: int = 0
    """Stored assets."""
    usd: Decimal = Decimal(0)
    """Estimated cost of its members in US dollars, as far as prices are known."""
    downloaded: int = 0
    """Members whose download is done."""
    is_cancelled: bool = False
    """Members that have not begun yet never will."""
    created: float = 0.0
    """When it reached a worker; unix seconds of Redis' clock."""
    downloads: bool = False
    """A successful member is over only after its download. False if the members were sent one by one."""
    digest: str | None = None
    """Digest of the model and the inputs; None: the members were sent one by one."""
    expires: float | None = None
    """Unix seconds after which no member begins; None: the batch does not expire."""
    sent: int | None = None
    """Members that have been published; None: not known, because they were sent one by one."""

    @property
    def succeeded(self) -> int:
        return self.counts.get("succeeded", 0)

    @property
    def done(self) -> int:
        """Members that ended without success, or whose download has ended: stored or given up."""
        return self.over - self.succeeded + min(self.downloaded, self.succeeded)

    @property
    def begun(self) -> int:
        """Members that a worker has received."""
        return sum(self.counts.get(name, 0) for name in BUCKETS)

    @property
    def under_way(self) -> int:
        """Members that have begun and have no outcome."""
        return sum(self.counts.get(name, 0) for name in _UNDER_WAY)

    @property
    def over(self) -> int:
        """Members that have an outcome."""
        return sum(self.counts.get(name, 0) for name in OUTCOME_STATUSES)


class Batches(Part):
    """One record per batch, kept as long as its members."""

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

        :param digest: of the model and the inputs; a known batch with another digest is not opened.
        :param downloads: whether a member is over only after its download.
        :param expires: unix seconds, after which no member begins.
        :returns: the state of the batch, and the size that the ledger has recorded.
        """
        state, size_text = self._keys.run(
            "batch",
            batch_id=batch_id,
            size=size,
            digest=digest,
            downloads=bool(downloads),
            expires=expires,
        )
        return BatchState(state.decode()), int(size_text)

    def record_sent(self, batch_id: str, count: int, *, is_all: bool) -> None:
        """Record how many members of a batch have been published, and whether these are all."""
        published: list[Any] = ["published", 1] if is_all else []
        key = f"{self._prefix}batch:{batch_id}"
        self._redis.hset(key, items=["sent", count, *published])

    def has_task(self, batch_id: str, task_ids: Iterable[str]) -> bool:
        """Return whether a task publishes the members of a batch, or waits for them.

        :param task_ids: ids that such a task usually has. Others are found if their task has waited for the batch.
        """
        redis, prefix = self._redis, self._prefix
        waiters = redis.hget(f"{prefix}batch:{batch_id}", "waiters") or b""
        names = {*task_ids, *filter(None, waiters.decode().split("\n"))}  # type: ignore[union-attr]
        return bool(redis.exists(*(f"{prefix}transfer:{name}" for name in names)))
