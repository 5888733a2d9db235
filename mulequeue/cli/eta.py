"""When a batch will be done: from how long its generations take, and how fast they end. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mulequeue.cli.render import done
from mulequeue.ledger import Batch

WINDOW_SECONDS = 60.0
"""The pace is that of the last minute."""
_TRUSTED_SECONDS, _TRUSTED_COUNT = 2.0, 5
_FEW = 3
_SLOW_SHARE = 0.9
_KEPT = 200


class Eta:
    """What was seen of a batch. All times are seconds of one steady clock."""

    def __init__(self) -> None:
        self._batch: Batch | None = None
        self._progress: deque[tuple[float, int]] = deque()
        self._durations: deque[float] = deque(maxlen=_KEPT)
        self._youngest = 0.0

    def observe(self, at: float, batch: Batch) -> None:
        """How it stands at a moment."""
        self._batch = batch
        if not self._progress or self._progress[-1][1] != done(batch):
            self._progress.append((at, done(batch)))
        while len(self._progress) > 2 and self._progress[0][0] < at - WINDOW_SECONDS:
            self._progress.popleft()

    def add_samples(self, durations: Iterable[float], started: Iterable[float]) -> None:
        """A few members: how long those that are over took, and when those that run were begun."""
        self._durations.extend(durations)
        self._youngest = max(started, default=self._youngest)

    def seconds_left(self, at: float) -> float | None:
        """Until the last one is done; None when nothing can be said yet, or any more.

        Once all of them run at the API, the youngest decides: what is usual, less its age. While
        some have not been sent, and for files that are on their way, the pace of the last minute.
        """
        if self._batch is None or done(self._batch) >= self._batch.size:
            return None
        running = self._batch.counts.get("generating", 0)
        unsent = self._batch.size - self._batch.over - running
        left = self._batch.size - done(self._batch)
        if unsent:
            return self._by_pace(at, left) or self._by_share(left, running)
        by_age = self._by_age(at) if running else None
        if by_age is None and left < _FEW:
            return None  # the stragglers: nobody knows
        waits = [by_age or self._by_pace(at, left), self._by_pace(at, left - running)]
        return max((wait for wait in waits if wait), default=None)

    @property
    def usual_seconds(self) -> float | None:
        """What nine of ten generations take at most; None before the first is over."""
        if not self._durations:
            return None
        ordered = sorted(self._durations)
        return ordered[min(len(ordered) - 1, int(_SLOW_SHARE * len(ordered)))]

    def _by_age(self, at: float) -> float | None:
        if self.usual_seconds is None:
            return None
        left = self._youngest + self.usual_seconds - at
        return left if left > 0 else None

    def _by_pace(self, at: float, left: int) -> float | None:
        if len(self._progress) < 2:
            return None
        (since, before), (_, now) = self._progress[0], self._progress[-1]
        is_trusted = at - since >= _TRUSTED_SECONDS and now - before >= _TRUSTED_COUNT
        return left * (at - since) / (now - before) if is_trusted else None

    def _by_share(self, left: int, running: int) -> float | None:
        """So many run at once, and each takes so long."""
        if self.usual_seconds is None or not running:
            return None
        return left * self.usual_seconds / running
