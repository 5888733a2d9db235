"""Watch a batch, a task or the fleet until it is over."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from mulequeue.cli.estimate import Pace
from mulequeue.cli.exits import Interrupted
from mulequeue.cli.render import plural, word_of
from mulequeue.cli.results import read_records
from mulequeue.cli.view import LINE_SECONDS, Progress, View, batch_progress, view_for
from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.tasks.batch_ids import batch_task_ids, member_ids

if TYPE_CHECKING:
    from mulequeue.cli.preflight import Call

REFRESH_SECONDS = 0.25
"""Time between two refreshes, each of which sends one or a few Redis commands."""
SCAN_SECONDS = 2.0
"""Minimum time between two scans for ended members. A scan reads the records of all members not known to be over."""
_SAMPLE = 100
_NO_FILES_SECONDS = 15.0
_GONE_SECONDS = 10.0
"""If an incomplete batch has had no task for this time, nothing sends its other members."""
Note = Callable[[str], None]
"""A function that prints a message once."""
Check = Callable[[Note], None]
"""A function that prints what is wrong."""
_ENQUEUED = Progress("enqueued", rows=["no worker has received it yet"])


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """The options of ``status``."""

    wait: bool = False
    follow: bool = False
    """Wait, and print every change."""
    max_wait: float | None = None
    """Seconds; None: until it is over."""
    poll_interval: float | None = None
    quiet: bool = False
    as_json: bool = False

    @property
    def is_waiting(self) -> bool:
        """Return whether the command waits for the end, instead of showing the state once."""
        return self.wait or self.follow


class Watched:
    """Something whose state :func:`watch` reads repeatedly."""

    line_seconds = LINE_SECONDS
    """The shortest time between two lines of progress in a pipe."""

    @property
    def has_started(self) -> bool:
        """Return whether a worker has begun what is watched."""
        return False

    def refresh(self) -> bool:
        """Read the state; return True if what is watched is over.

        :raises RedisError: Redis does not answer.
        :raises MuleQueueError: what is watched will never be over, for example because the ledger was emptied.
        """
        raise NotImplementedError

    def progress(self) -> Progress:
        """Return the state that was read last."""
        raise NotImplementedError

    def new_endings(self) -> Sequence[Record]:
        """Return the members of a batch that ended since the last call and are to be reported."""
        return ()


def watch(
    watched: Watched,
    title: str,
    options: WatchOptions | Call,
    *,
    interrupted: str,
    age: float = 0.0,
    checks: Sequence[Check] = (),
) -> bool:
    """Show progress until ``watched`` is over; return False if that takes longer than ``max_wait``.

    :param age: seconds since the start of what is watched.
    :param checks: called after every refresh, until ``watched`` is over.
    :raises Interrupted: Ctrl-C; the message is ``interrupted``.
    """
    began = time.monotonic()
    try:
        with view_for(
            title, quiet=options.quiet, age=age, line_seconds=watched.line_seconds
        ) as view:
            while not _refresh(watched, view, checks):
                max_wait = options.max_wait
                if max_wait is not None and time.monotonic() >= began + max_wait:
                    return False
                time.sleep(REFRESH_SECONDS)
            return True
    except KeyboardInterrupt:
        raise Interrupted(interrupted) from None


def _refresh(watched: Watched, view: View, checks: Sequence[Check]) -> bool:
    try:
        is_over = watched.refresh()
        view.show(watched.progress())
        for record in watched.new_endings():
            view.end(record)
        for check in checks if not is_over else ():
            check(view.note)
    except RedisError:
        view.note("Redis does not answer; waiting for it.")
        return False
    return is_over


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
            raise _lost_error(self.batch.batch_id)
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
        is_recent = time.monotonic() - self._scanned < SCAN_SECONDS
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
        if now - self._sampled < SCAN_SECONDS or not self.has_started:
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


def _lost_error(name: str) -> MuleQueueError:
    return MuleQueueError(
        f"The ledger does not know {name} any more: its Redis was emptied or replaced. What had been "
        "submitted is billed, and a new call is billed again. `mulequeue adopt API_PATH REMOTE_ID` stores "
        "a generation that the API still has."
    )


class TaskWatch(Watched):
    """The record of one generation.

    :param download_id: the task id of the download, to wait for the download too.
    """

    line_seconds = 0.0

    def __init__(self, ledger: Ledger, task_id: str, *, download_id: str | None = None) -> None:
        self._ledger, self.task_id = ledger, task_id
        self._download_id = download_id
        self.record: Record | None = None
        self.problem: str | None = None
        """Why its files are not stored."""

    @property
    def has_started(self) -> bool:
        return self.record is not None

    def refresh(self) -> bool:
        """Read the record; return True if it is over, and the download ``download_id`` if that is given."""
        record = self._ledger.queries.record(self.task_id)
        if record is None and self.record is not None:
            raise _lost_error(self.task_id)
        self.record = record
        if record is None:
            return False
        return record.is_over and self._is_stored(record)

    def progress(self) -> Progress:
        record = self.record
        if record is None:
            return _ENQUEUED
        line = word_of(record)
        if record.status is None and record.remote_id:
            line = f"{line} as {record.remote_id}"
        return Progress(line, plural(record.polls, "check") if record.polls else "", [line])

    def _is_stored(self, record: Record) -> bool:
        if self._download_id is None or record.status != "succeeded":
            return True
        ended = self._ledger.leases.result(self._download_id)
        if ended is None:
            return False
        self.problem = ended.get("error")
        # Its files may have been stored between the two reads.
        self.record = self._ledger.queries.record(self.task_id) or record
        return True


class Arrival(TaskWatch):
    """A task or batch that is watched until a worker has received it."""

    def refresh(self) -> bool:
        """Return True if the ledger has the task or batch, False if it only knows the enqueued message."""
        queries, name = self._ledger.queries, self.task_id
        if queries.batch(name) or queries.record(name):
            return True
        if not self._ledger.enqueued.has(name):
            raise _lost_error(name)
        return False
