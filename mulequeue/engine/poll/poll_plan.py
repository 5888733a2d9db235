"""Fit the times of status checks to the durations of a model's last generations. Pure.

Polling too often wastes requests; polling too rarely delays results. The first check waits until a
fifth of the known generations had finished. The interval after it is a fraction of the spread of
their durations: short where the durations are similar, long where they differ much.
"""

from __future__ import annotations

from collections.abc import Sequence

from mulequeue.catalog.poll_schedule import PollSchedule
from mulequeue.ledger import DurationSample

MIN_SAMPLES = 20
"""With fewer the model's own schedule applies."""
FIRST_SHARE = 0.2
"""Share of the known generations that had finished at the age of the first check."""
LATE_SHARE = 0.9
INTERVALS = 4.5
"""Intervals from the age of the first check to the age at which nine tenths had finished. For
durations of 5 to 30 s the mean lateness is that of a check every 5 s, with three quarters of the
checks."""
LAST_SHARE = 0.98
"""A generation older than this share of the known ones is checked by the model's own schedule."""
FLOOR_SECONDS = 1.5
"""Least time between two checks: a sweep collects what is due within half a second anyway."""
FIRST_FACTOR = 10
"""The first check comes within this many times the ``ceiling`` of the model's schedule, which
limits the delay if the model becomes faster."""
_PARTS = (1 / 6, 3 / 6, 5 / 6)
"""Where in its bounds a sample is counted: a third of its weight at each."""


class PollPlan:
    """The ages at which a generation of one model is checked.

    :param samples: at least one. (The ledger keeps the last hundred.)
    :param schedule: the model's own: ``ceiling`` bounds every wait but the first, ``low`` and
        ``high`` bound all of them, and ``jitter`` spreads them.
    """

    def __init__(self, samples: Sequence[DurationSample], schedule: PollSchedule) -> None:
        self._schedule = schedule
        first, late, self._last = _quantiles(samples, (FIRST_SHARE, LATE_SHARE, LAST_SHARE))
        # Later by the jitter: before the quantile a check finds few generations finished.
        self._first = first * (1 + schedule.jitter)
        self._interval = (late - first) / INTERVALS

    def seconds(self, age: float, chance: float = 0.5) -> float | None:
        """Return the seconds to the next check of a generation that is still active.

        :param age: seconds since it was submitted; 0 for the first check.
        :param chance: a random number in [0, 1); 0.5 gives the wait without jitter.
        :returns: None if nearly all known generations were shorter: the model's schedule applies.
        """
        if age >= self._last:
            return None
        schedule = self._schedule
        most = schedule.ceiling if age > 0 else FIRST_FACTOR * schedule.ceiling
        wait = min(max(self._first - age, self._interval), most)
        wait *= 1 + schedule.jitter * (2 * chance - 1)
        return min(max(wait, FLOOR_SECONDS, schedule.low), schedule.high)


def _quantiles(samples: Sequence[DurationSample], shares: Sequence[float]) -> list[float]:
    """Return the durations that these shares of the samples' weight do not exceed.

    :param shares: in ascending order.
    """
    # Weights are added undivided: thirds would round, and not alike on all versions of Python.
    points = sorted(
        (low + part * (high - low), weight) for low, high, weight in samples for part in _PARTS
    )
    total, reached, at = sum(weight for _, weight in points), 0.0, 0
    found = []
    for share in shares:
        while at < len(points) - 1 and reached + points[at][1] < share * total:
            reached += points[at][1]
            at += 1
        found.append(points[at][0])
    return found


def usable_samples(
    samples: Sequence[DurationSample], schedule: PollSchedule
) -> list[DurationSample]:
    """Return the samples whose bounds are close enough: an outage leaves them far apart.

    Of a generation that had finished at its first check, only that check bounds the duration.
    """
    widest = 3 * schedule.ceiling
    first = FIRST_FACTOR * schedule.ceiling * (1 + schedule.jitter)
    return [it for it in samples if it.high - it.low <= (widest if it.low else first)]


def fit(samples: Sequence[DurationSample], schedule: PollSchedule) -> PollPlan | None:
    """Return the plan that fits these samples, or None if there are too few."""
    usable = usable_samples(samples, schedule)
    is_enough = sum(sample.weight for sample in usable) >= MIN_SAMPLES
    return PollPlan(usable, schedule) if is_enough else None
