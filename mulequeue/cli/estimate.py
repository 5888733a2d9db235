"""Estimate when a batch will be done, from the durations of its generations and its recent progress."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mulequeue.ledger import Batch

WINDOW_SECONDS = 60.0
"""The seconds per member are measured over this time."""
_TRUSTED_SECONDS, _TRUSTED_COUNT = 2.0, 5
_FEW = 3
_SLOW_SHARE = 0.9
_MAX_DURATIONS = 200


class Pace:
    """The observed progress of a batch. All times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._batch: Batch | None = None
        self._seen: deque[tuple[float, int]] = deque()
        self._durations: deque[float] = deque(maxlen=_MAX_DURATIONS)
        self._youngest = 0.0

    def observe(self, at: float, batch: Batch) -> None:
        """Record the state of the batch at a moment."""
        self._batch = batch
        if not self._seen or self._seen[-1][1] != batch.done:
            self._seen.append((at, batch.done))
        while len(self._seen) > 2 and self._seen[0][0] < at - WINDOW_SECONDS:
            self._seen.popleft()

    def add_samples(self, durations: Iterable[float], started: Iterable[float]) -> None:
        """Record a sample of members: durations of those that succeeded, start times of those that run."""
        self._durations.extend(durations)
        self._youngest = max(started, default=self._youngest)

    def seconds_left(self, at: float) -> float | None:
        """Estimate the time until the last member is done; None: no estimate.

        While some members are not submitted, it is the number of members left times the seconds per member of
        the last minute; if these are unknown, times the usual duration divided by the number of running members.
        Once all are submitted, it is the longer of two times: members left times seconds per member, and the
        usual duration minus the age of the youngest member.
        """
        if self._batch is None or self._batch.done >= self._batch.size:
            return None
        running = self._batch.counts.get("generating", 0)
        left = self._batch.size - self._batch.done
        usual, each = self._usual_seconds(), self._seconds_per_member(at)
        if self._batch.over + running < self._batch.size:
            each = each or (usual / running if usual and running else None)
            return each and left * each
        by_age = max(0.0, self._youngest + usual - at) if usual and running else None
        if not by_age and left < _FEW:
            return None  # only stragglers are left: no basis for an estimate
        waits = [by_age, each and left * each]
        return max((wait for wait in waits if wait), default=None)

    def _usual_seconds(self) -> float | None:
        """Return the duration that nine of ten generations do not exceed; None: none has succeeded."""
        if not self._durations:
            return None
        return sorted(self._durations)[int(_SLOW_SHARE * len(self._durations))]

    def _seconds_per_member(self, at: float) -> float | None:
        """Return the seconds per member in the last minute; None: it covers less than 2 s or 5 members."""
        if len(self._seen) < 2:
            return None
        (since, before), (_, now) = self._seen[0], self._seen[-1]
        is_trusted = at - since >= _TRUSTED_SECONDS and now - before >= _TRUSTED_COUNT
        return (at - since) / (now - before) if is_trusted else None
