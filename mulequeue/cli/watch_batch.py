"""Watch a batch until all of its members are over."""

from __future__ import annotations

import random
import time

from mulequeue.cli.estimate import Pace
from mulequeue.cli.results import read_records
from mulequeue.cli.view import Progress, batch_progress
from mulequeue.cli.watch import Watched, lost_error
from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.tasks.batch_ids import batch_task_ids, member_ids

_SCAN_SECONDS = 2.0
"""Minimum time between two scans for ended members. A scan reads the records of all members not known to be over."""
_SAMPLE = 100
_NO_FILES_SECONDS = 15.0
_GONE_SECONDS = 10.0
"""If an incomplete batch has had no task for this time, nothing sends its other members."""


class BatchWatch(Watched):
    """A batch in the ledger.

    :param size: number of members, shown until the batch is in the ledger.
    :param all_endings: report every member that is over, not only those that did not succeed.
    """

    def __init__(
        self, ledger: Ledger, batch_id: str, size: int, *, all_endings: bool = False
    ) -> None:
        self._ledger = ledger
        self._all_endings = all_endings
        self.batch = Batch(batch_id=batch_id, size=size)
        self._pace = Pace()
        self._open = set(member_ids(self.batch))
        self._reported = 0
        self._scanned = self._sampled = 0.0
        self._over_since: float | None = None
        self._unsent_since: float | None = None
        self._is_over = False

    @property
    def has_started(self) -> bool:
        return self.batch.created > 0

    def refresh(self) -> bool:
        """Read the batch; return True if all members are over and their downloads, if any, have ended.

        :raises MuleQueueError: no task sends the remaining members, or the ledger was emptied.
        """
        found = self._ledger.queries.batch(self.batch.batch_id)
        if found is None and self.has_started:
            raise lost_error(self.batch.batch_id)
        self.batch = found or self.batch
        self._pace.observe(time.monotonic(), self.batch)
        self._sample()
        self._is_over = self._is_done()
        if not self._is_over:
            self._check_rest()
        return self._is_over

    def progress(self) -> Progress:
        return batch_progress(self.batch, self._pace.seconds_left(time.monotonic()))

    def new_endings(self) -> list[Record]:
        """Return the members that ended and are to be reported; search at most every 2 s until the end."""
        unreported = 0 if self._all_endings else self.batch.succeeded
        is_recent = time.monotonic() - self._scanned < _SCAN_SECONDS
        if self.batch.over - unreported <= self._reported or (is_recent and not self._is_over):
            return []
        self._scanned = time.monotonic()
        ended = [r for r in read_records(self._ledger, sorted(self._open)) if r.is_over]
        self._open -= {record.task_id for record in ended}
        found = [r for r in ended if self._all_endings or r.status != "succeeded"]
        self._reported += len(found)
        return found

    def _is_done(self) -> bool:
        if self.batch.over < self.batch.size:
            return False
        if self.batch.done >= self.batch.size:
            return True
        if self.batch.digest is not None:
            return not self.batch.downloads
        # The members were sent one by one, so it is unknown whether downloads follow them.
        self._over_since = self._over_since or time.monotonic()
        waited = time.monotonic() - self._over_since
        return not self.batch.downloaded and waited > _NO_FILES_SECONDS

    def _check_rest(self) -> None:
        """Raise MuleQueueError if members were not sent and for 10 s there has been no task that sends them."""
        if is_sent(self._ledger, self.batch):
            self._unsent_since = None
            return
        self._unsent_since = self._unsent_since or time.monotonic()
        if time.monotonic() - self._unsent_since >= _GONE_SECONDS:
            batch = self.batch
            raise MuleQueueError(
                f"{batch.size - (batch.sent or 0):,} of {batch.size:,} members of batch {batch.batch_id} "
                "were not sent, and no task sends them: it was revoked or given up. The same `mulequeue "
                f"batch` with --batch-id {batch.batch_id} sends the rest; what was sent is not billed again."
            )

    def _sample(self) -> None:
        """Read a random sample of members: durations of those that succeeded, start times of those that run."""
        now = time.monotonic()
        if now - self._sampled < _SCAN_SECONDS or not self.has_started:
            return
        self._sampled = now
        members = member_ids(self.batch)
        chosen = random.sample(members, min(_SAMPLE, len(members)))
        records = read_records(self._ledger, chosen)
        offset = now - self._ledger.queries.now()  # from Redis' clock to ours
        self._pace.add_samples(
            durations=[
                r.seconds for r in records if r.status == "succeeded" and r.seconds is not None
            ],
            started=[r.began + offset for r in records if not r.is_over and r.began],
        )


def is_sent(ledger: Ledger, batch: Batch) -> bool:
    """Return False if it is known that members of a batch were not sent, and no task sends them.

    Return True for a cancelled batch.
    """
    if batch.sent is None or batch.sent >= batch.size or batch.is_cancelled:
        return True
    return ledger.batches.has_task(batch.batch_id, batch_task_ids(batch))
