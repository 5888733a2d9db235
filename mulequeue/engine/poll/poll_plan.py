"""Fit the times of status checks to the durations of a model's last generations.

Polling too often wastes requests; polling too rarely delays results. Each check is made at
the age by which 28 % of the known generations that lasted longer than the current age had ended. So checks
are close together at ages at which many generations end, and far apart at others.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from mulequeue import catalog
from mulequeue.catalog.poll_schedule import PollSchedule

if TYPE_CHECKING:
    from mulequeue.engine.generation_request import GenerationRequest
    from mulequeue.engine.worker_context import WorkerContext
    from mulequeue.ledger import DurationSample

MIN_SAMPLES = 20
"""With fewer samples the model's own schedule applies."""
SHARE = 0.28
"""Share of the active generations that end before the next check. In simulations with durations of 5 to
30 s, compared with a check every 5 s: 0.28 has the same mean lateness and 0.72 to 0.75 times the checks; 0.3
has 1.07 times the lateness in batches; 0.25 needs 0.77 to 0.82 times the checks."""
LEAST_SHARE = 1 / 8
"""A wait is at least this share of the generation's age, because the durations of a model vary by more."""
LAST_SHARE = 0.98
"""A generation that lasts longer than this share of the known ones is checked by the model's own schedule."""
FLOOR_SECONDS = 1.5
"""Least time between two checks, in seconds. Sweeps begin half a second apart anyway."""
FIRST_FACTOR = 10
"""The first check comes within this many times the ``ceiling`` of the model's schedule, which
limits the delay if the model becomes faster."""
REFRESH_SECONDS = 30.0
"""A process reads the durations for a plan again after this time."""
_PARTS = (1 / 6, 3 / 6, 5 / 6)
"""Positions between the bounds of a sample, each of which counts with a third of the sample's weight."""


class PollPlan:
    """The ages at which a generation of one model is checked.

    :param samples: at least one. (The ledger keeps the last hundred.)
    :param schedule: the model's own: ``ceiling`` bounds every wait but the first, ``low`` and
        ``high`` bound all of them, and ``jitter`` spreads them.
    """

    def __init__(self, samples: Sequence[DurationSample], schedule: PollSchedule) -> None:
        self._schedule = schedule
        points = sorted(
            (low + part * (high - low), weight) for low, high, weight in samples for part in _PARTS
        )
        self._durations = [duration for duration, _ in points]
        # Whole weights instead of thirds, whose sums are rounded differently by versions of Python.
        self._ended = list(accumulate(weight for _, weight in points))
        self.median_seconds, self._last = self._quantile(0.0, 0.5), self._quantile(0.0, LAST_SHARE)

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
        wait = min(max(self._quantile(age, SHARE) - age, LEAST_SHARE * age), most)
        wait *= 1 + schedule.jitter * (2 * chance - 1)
        return min(max(wait, FLOOR_SECONDS, schedule.low), schedule.high)

    def _quantile(self, age: float, share: float) -> float:
        """Return the age at which this share of the generations that lasted longer than ``age`` had ended."""
        at = bisect_right(self._durations, age)
        before = self._ended[at - 1] if at else 0
        reached = before + share * (self._ended[-1] - before)
        return self._durations[min(bisect_left(self._ended, reached), len(self._durations) - 1)]


def usable_samples(
    samples: Sequence[DurationSample], schedule: PollSchedule
) -> list[DurationSample]:
    """Return the samples whose bounds are close enough; after an outage the bounds are far apart.

    If a generation had ended at its first check, the lower bound is 0; then they may be a first wait apart.
    """
    widest = 3 * schedule.ceiling
    first = FIRST_FACTOR * schedule.ceiling * (1 + schedule.jitter)
    return [it for it in samples if it.high - it.low <= (widest if it.low else first)]


def fit(samples: Sequence[DurationSample], schedule: PollSchedule) -> PollPlan | None:
    """Return a poll plan for these samples, or None if too few of them are usable."""
    usable = usable_samples(samples, schedule)
    is_enough = sum(sample.weight for sample in usable) >= MIN_SAMPLES
    return PollPlan(usable, schedule) if is_enough else None


class DurationCache:
    """The poll plans of one process. Use the shared object, on the event loop.

    Callers never wait. A plan that is missing or older than ``REFRESH_SECONDS`` is read in the background; until
    then the old plan applies, or the model's own schedule.
    """

    def __init__(self, ctx: WorkerContext) -> None:
        self._ctx = ctx
        self._plans: dict[str, PollPlan | None] = {}
        self._refresh_at: dict[str, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    def plan(self, path: str) -> PollPlan | None:
        """Return the poll plan of an api_path (without ``/vendors/``).

        :returns: None while too few durations are known, or if ``mulequeue_learn_cadence`` is off.
        """
        if self._ctx.settings.learn_cadence and time.monotonic() >= self._refresh_at.get(path, 0.0):
            self._refresh_at[path] = time.monotonic() + REFRESH_SECONDS
            task = asyncio.create_task(self._read(path))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        return self._plans.get(path)

    async def _read(self, path: str) -> None:
        ledger, schedule = self._ctx.ledger, catalog.find(f"/vendors/{path}").schedule
        with suppress(RedisError):  # callers that need the ledger log it
            samples = await self._ctx.call(ledger.queries.durations, path)
            self._plans[path] = fit(samples, schedule)


def first_wait(ctx: WorkerContext, plan: GenerationRequest, chance: float) -> float:
    """Return the seconds from a generation's submission to its first check; call it on the loop.

    :param chance: a random number in [0, 1).
    """
    own = plan.schedule.seconds(0, chance)
    poll_plan = None if plan.interval is not None else ctx.shared(DurationCache).plan(plan.path)
    wait = None if poll_plan is None else poll_plan.seconds(0.0, chance)
    # A check enforces the deadline, so the first one is not later than the deadline.
    return own if wait is None else min(wait, max(own, plan.max_wait_seconds))
