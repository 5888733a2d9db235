"""Batches: how each was opened, and how far it is. Its members are counted with every transition."""

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
    """The state of a batch that is opened."""

    OPENED = "opened"
    PUBLISHED = "published"
    """All its members have been published."""
    STOPPED = "stopped"
    """It was cancelled: its members never begin."""
    OTHER = "other"
    """It was made from other inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The progress of a batch."""

    batch_id: str
    size: int
    """Members."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Members that are waiting, submitting, generating, or have each outcome."""
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
    """A member is over only after its download; known of a batch that ``generate_many`` sent."""
    digest: str | None = None
    """Of its inputs; None: its members were sent one by one."""
    expires: float | None = None
    """Unix seconds, after which no member begins."""
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

        :param digest: of its inputs; a known batch is not opened with another one.
        :param downloads: whether a member is over only after its download.
        :param expires: unix seconds, after which no member begins.
        :returns: its state, and its size.
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

        :param task_ids: that such a task usually has; the batch names others after their first wait.
        """
        redis, prefix = self._redis, self._prefix
        waiters = redis.hget(f"{prefix}batch:{batch_id}", "waiters") or b""
        names = {*task_ids, *filter(None, waiters.decode().split("\n"))}  # type: ignore[union-attr]
        return bool(redis.exists(*(f"{prefix}transfer:{name}" for name in names)))
