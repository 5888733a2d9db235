"""Watching a batch in the ledger until every member is over and its files are stored."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from redis.exceptions import RedisError

from mulequeue.cli.batch_view import View
from mulequeue.cli.eta import Eta
from mulequeue.cli.render import done
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.outcome import OUTCOME_STATUSES
from mulequeue.tasks.canvases import member_ids

REFRESH_SECONDS = 0.25
"""One Redis command a look."""
READ_ENDS_SECONDS = 2.0
"""Finding out which members ended reads the records of all that are not over."""
_CHUNK_SIZE = 200
_SAMPLE = 100
_NO_FILES_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a batch came to, in numbers; the keys of ``--json``."""

    submitted: int
    succeeded: int = 0
    failed: int = 0
    timed_out: int = 0
    submit_unknown: int = 0
    cancelled: int = 0
    files: int = 0
    seconds: float = 0.0
    batch_id: str | None = None

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def summary_of(batch: Batch, seconds: float) -> Summary:
    """The numbers of a batch."""
    counts = {name: batch.counts.get(name, 0) for name in OUTCOME_STATUSES}
    return Summary(
        submitted=batch.size,
        **counts,
        files=batch.files,
        seconds=round(seconds, 3),
        batch_id=batch.batch_id,
    )


class BatchWatch:
    """One batch, looked at again and again.

    :param size: its members; known before the first of them reached the ledger.
    :param all_ends: tell of every member that is over, not only of those that did not succeed.
    """

    def __init__(self, ledger: Ledger, batch_id: str, size: int, *, all_ends: bool = False) -> None:
        self._ledger = ledger
        self._all_ends = all_ends
        self.batch = Batch(
            batch_id=batch_id,
            size=size,
            counts={},
            files=0,
            downloaded=0,
            is_cancelled=False,
            created=0.0,
        )
        self.is_away = False
        """Redis did not answer the last look."""
        self.pace = Eta()
        self._open = set(member_ids(self.batch))
        self._told = 0
        self._looked_for_ends = 0.0
        self._sampled = 0.0
        self._over_since: float | None = None

    def refresh(self) -> Batch:
        """How it stands now; as it was, while Redis does not answer."""
        try:
            self.batch = self._ledger.queries.batch(self.batch.batch_id) or self.batch
            self.is_away = False
            self.pace.observe(time.monotonic(), self.batch)
            self._sample()
        except RedisError:
            self.is_away = True
        return self.batch

    def seconds_left(self) -> float | None:
        """Until all are done, by what was seen so far; None: it cannot be said."""
        return self.pace.seconds_left(time.monotonic())

    def _sample(self) -> None:
        """How long some members took, and since when some run."""
        now = time.monotonic()
        if now - self._sampled < READ_ENDS_SECONDS or not self.moved:
            return
        self._sampled = now
        members = member_ids(self.batch)
        chosen = random.sample(members, min(_SAMPLE, len(members)))
        records = list(records_of(self._ledger, chosen))
        offset = now - self._ledger.queries.now()  # from Redis' clock to ours
        began = [(record, record.started or record.submitted) for record in records]
        self.pace.add_samples(
            durations=[
                record.finished - start
                for record, start in began
                if record.status == "succeeded" and record.finished and start
            ],
            started=[start + offset for record, start in began if not record.is_over and start],
        )

    @property
    def moved(self) -> bool:
        """Whether any worker has touched it."""
        return bool(sum(self.batch.counts.values()))

    def is_done(self, *, with_files: bool) -> bool:
        """Whether nothing more is to come.

        :param with_files: its members surely download. Else nobody knows: when no file at all
            arrives within some seconds of the end, none is waited for.
        """
        if self.batch.over < self.batch.size:
            return False
        if done(self.batch) >= self.batch.size:
            return True
        self._over_since = self._over_since or time.monotonic()
        waited = time.monotonic() - self._over_since
        return not with_files and self.batch.downloaded == 0 and waited > _NO_FILES_SECONDS

    def ends(self, *, now: bool = False) -> list[Record]:
        """The members to tell of that were not told before, looked for not too often."""
        passed = 0 if self._all_ends else self.batch.counts.get("succeeded", 0)
        recently = time.monotonic() - self._looked_for_ends < READ_ENDS_SECONDS
        if self.batch.over - passed <= self._told or (recently and not now):
            return []
        self._looked_for_ends = time.monotonic()
        found = []
        try:
            for record in records_of(self._ledger, sorted(self._open)):
                if record.is_over:
                    self._open.discard(record.task_id)
                    if self._all_ends or record.status != "succeeded":
                        found.append(record)
        except RedisError:
            self.is_away = True
        self._told += len(found)
        return found


def records_of(ledger: Ledger, task_ids: Sequence[str]) -> Iterator[Record]:
    """The records that exist, a slice at a time."""
    for start in range(0, len(task_ids), _CHUNK_SIZE):
        for record in ledger.queries.records(task_ids[start : start + _CHUNK_SIZE]):
            if record is not None:
                yield record


def missing_files(ledger: Ledger, batch: Batch) -> int:
    """Assets of generations that succeeded which are not stored."""
    records = records_of(ledger, member_ids(batch))
    return sum(
        max(0, len(record.answer.get("assets", ())) - len(record.files))
        for record in records
        if record.status == "succeeded"
    )


def watch(
    watched: BatchWatch,
    view: View,
    *,
    max_wait: float | None,
    with_files: bool = True,
    each_look: Sequence[object] = (),
) -> bool:
    """Show a batch until it is done; False when ``max_wait`` seconds passed before that.

    :param each_look: callables that are called after every look (a hint, a check).
    """
    gives_up = None if max_wait is None else time.monotonic() + max_wait
    while True:
        view.show(watched.refresh(), watched.seconds_left())
        if watched.is_away:
            view.note("Redis does not answer; waiting for it.")
        for record in watched.ends():
            view.end(record)
        if watched.is_done(with_files=with_files):
            for record in watched.ends(now=True):
                view.end(record)
            return True
        if gives_up is not None and time.monotonic() >= gives_up:
            return False
        for call in each_look:
            call()  # type: ignore[operator]
        time.sleep(REFRESH_SECONDS)
