"""When to check next, learned from how long a model's generations lived. Pure.

A check too many costs the API and us; a check too late, the user. With a price for a check in seconds
of lateness, the cheapest times to look follow from the lives that are known, backwards from the
longest: from each age, to that later age from which all that follows costs least. (Barlow and Proschan's
inspection schedules, found by dynamic programming. Where lives are dense the gaps are short, and
nothing is checked while nothing ends.)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from mulequeue.catalog.poll_schedule import PollSchedule
from mulequeue.ledger import DurationSample

MIN_SAMPLES = 20
"""With fewer known the model's own schedule stands."""
CHECK_COST = 0.1
"""Of one check, in seconds of lateness per second of the model's ``ceiling``: 0.8 s for images.
So for lives of 5 to 30 s the mean lateness is that of a check every 5 s, with three quarters of the
checks."""
FLOOR_SECONDS = 1.5
"""No check sooner after another: a sweep collects what is due within half a second anyway."""
FIRST_FACTOR = 10
"""The first check comes within so many times the ``ceiling``. (A model that is suddenly quicker is
found out about at the latest by then, and never later than its generations used to end.)"""
_POINTS = 32  # ages that a plan knows: 16 do as well, and the work grows with the square
_SPREAD = (
    0.1  # of a life that is known exactly: it stands for its neighbours, as far as a check's jitter
)
_KNOWN = 0.98  # who has outlived so many of the known is beyond what is known


class PollPlan:
    """The cheapest times to look at a generation of one model.

    :param samples: at least one. (The ledger keeps the latest two hundred: fewer are lumpy, and with
        more it takes longer to notice that a model has become quicker.)
    :param schedule: the model's own: ``ceiling`` bounds every wait but the first, ``low`` and
        ``high`` all of them, and ``jitter`` spreads them.
    """

    def __init__(self, samples: Sequence[DurationSample], schedule: PollSchedule) -> None:
        self._schedule = schedule
        self._first_most = FIRST_FACTOR * schedule.ceiling
        spans = [_span(sample) for sample in samples]
        edges = {edge for span in spans for edge in span[:2]}
        self._ages = [0.0, *_thin_out(sorted(edges - {0.0}))]
        shares = [_share(spans, age) for age in self._ages]
        self._ends = self._ages[bisect_left(shares, _KNOWN)]
        self._targets = self._plan(shares)

    def seconds(self, age: float, chance: float = 0.5) -> float | None:
        """Seconds to the next check of a generation that is still active.

        :param age: seconds since it was submitted; 0 for the first check.
        :param chance: a random number in [0, 1); 0.5 gives the wait without jitter.
        :returns: None when it has outlived nearly all that are known: its model's schedule stands.
        """
        if age >= self._ends:
            return None
        plan, ages, targets = self._schedule, self._ages, self._targets
        after = bisect_right(ages, max(age, 0.0))
        before = after - 1
        part = (age - ages[before]) / (ages[after] - ages[before])
        wait = targets[before] + part * (targets[after] - targets[before]) - age
        wait = min(wait, plan.ceiling if age > 0 else self._first_most)
        wait *= 1 + plan.jitter * (2 * chance - 1)
        return min(max(wait, FLOOR_SECONDS, plan.low), plan.high)

    def _plan(self, shares: Sequence[float]) -> list[float]:
        """From each age to which other, backwards from the last.

        ``costs[here]``: what is still to be paid, per generation that there ever was.
        """
        ages, schedule = self._ages, self._schedule
        price, least = CHECK_COST * schedule.ceiling, max(FLOOR_SECONDS, schedule.low)
        moments = _moments(ages, shares)
        costs, targets = [0.0] * len(ages), list(ages)
        for current in range(len(ages) - 2, -1, -1):
            most = min(schedule.ceiling if current else self._first_most, schedule.high)
            first = min(bisect_left(ages, ages[current] + least), len(ages) - 1)
            last = max(bisect_right(ages, ages[current] + most), first + 1)
            paid, following = min(
                (
                    ages[following] * (shares[following] - shares[current])
                    - (moments[following] - moments[current])
                    + costs[following],
                    following,
                )
                for following in range(first, min(last, len(ages)))
            )
            costs[current] = paid + price * (1 - shares[current])
            targets[current] = ages[following]
        return targets


def usable_samples(
    samples: Sequence[DurationSample], schedule: PollSchedule
) -> list[DurationSample]:
    """Those that tell something: not what was found long after it ended, as after an outage."""
    widest = 3 * schedule.ceiling
    first = FIRST_FACTOR * schedule.ceiling * (1 + schedule.jitter)
    return [
        sample
        for sample in samples
        if sample.high - sample.low <= (widest if sample.low else first)
    ]


def fit(samples: Sequence[DurationSample], schedule: PollSchedule) -> PollPlan | None:
    """The cadence that these lives teach; None: too few are known."""
    known = usable_samples(samples, schedule)
    is_enough = sum(sample.weight for sample in known) >= MIN_SAMPLES
    return PollPlan(known, schedule) if is_enough else None


def _span(sample: DurationSample) -> DurationSample:
    if sample.high - sample.low >= _SPREAD * sample.high:
        return sample
    middle, reach = (sample.low + sample.high) / 2, max(_SPREAD * sample.high, 0.05)
    return DurationSample(max(middle - reach, 0.0), middle + reach, sample.weight)


def _thin_out(edges: Sequence[float]) -> list[float]:
    """At most so many of them, the first and the last included."""
    if len(edges) <= _POINTS:
        return list(edges)
    step = (len(edges) - 1) / (_POINTS - 1)
    return [edges[round(number * step)] for number in range(_POINTS)]


def _share(spans: Sequence[DurationSample], age: float) -> float:
    """Of the generations, how many were over at that age; each evenly within its span."""
    over = (weight * min(max((age - low) / (high - low), 0.0), 1.0) for low, high, weight in spans)
    return sum(over) / sum(weight for _, _, weight in spans)


def _moments(ages: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Up to each age, the sum of the lives that ended by then, per generation."""
    moments = [0.0]
    for at in range(1, len(ages)):
        middle = (ages[at - 1] + ages[at]) / 2
        moments.append(moments[-1] + middle * (shares[at] - shares[at - 1]))
    return moments
