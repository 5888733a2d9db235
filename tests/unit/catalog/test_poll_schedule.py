"""The waits before polls and before attempts after a failure."""

from __future__ import annotations

import itertools
import math

import pytest

from mulequeue.catalog.poll_schedule import PollSchedule, backoff_seconds
from mulequeue.errors import InputError


@pytest.mark.parametrize(("attempt", "waits"), [(0, 2.0), (1, 3.0), (2, 4.5), (9, 20.0)])
def test_waits_grow_to_the_ceiling(attempt: int, waits: float) -> None:
    """Waits grow by half each time and stop at the ceiling."""
    assert waits == PollSchedule(first=2, factor=1.5, ceiling=20).seconds(attempt)


@pytest.mark.parametrize(("chance", "waits"), [(0.0, 9.0), (0.5, 10.0), (0.75, 10.5)])
def test_jitter_spreads_both_ways(chance: float, waits: float) -> None:
    """A jitter of a tenth spreads a wait evenly from nine tenths to eleven tenths."""
    schedule = PollSchedule(first=10, factor=1, ceiling=10, jitter=0.1)

    assert waits == pytest.approx(schedule.seconds(0, chance))


@pytest.mark.parametrize(("chance", "waits"), [(0.0, 9.5), (0.5, 10.0), (0.999, 10.5)])
def test_jitter_stays_inside_the_bounds(chance: float, waits: float) -> None:
    """No jitter leads out of the range that the bounds state."""
    schedule = PollSchedule(first=10, factor=1, ceiling=10, jitter=0.5, low=9.5, high=10.5)

    assert waits == schedule.seconds(0, chance)


@pytest.mark.parametrize("factor", [1.0, 1.1, 2, 1e10])
def test_very_late_attempts_wait_the_ceiling(factor: float) -> None:
    """The ten thousandth wait is an ordinary one: growth never overflows."""
    schedule = PollSchedule(first=30, factor=factor, ceiling=30)

    assert 30.0 == schedule.seconds(10_000)


def test_waits_never_shrink() -> None:
    """Without jitter every wait is at least as long as the one before."""
    schedule = PollSchedule(first=2.2, factor=1.1, ceiling=2.8)
    waits = [schedule.seconds(attempt) for attempt in range(50)]

    assert all(before <= after for before, after in itertools.pairwise(waits))


def test_fixed_waits_stay_the_same() -> None:
    """A fixed interval is kept for every poll."""
    assert {7.0} == {PollSchedule.fixed(7.0).seconds(attempt) for attempt in (0, 1, 500)}


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, "5"])
def test_an_impossible_interval_is_refused(seconds: float) -> None:
    """An interval that is no number above zero is an error that says what to give."""
    with pytest.raises(InputError, match="it must be a number of seconds above 0"):
        PollSchedule.fixed(seconds)


@pytest.mark.parametrize(
    ("attempt", "delay"), [(0, 30.0), (1, 60.0), (2, 120.0), (7, 3600.0), (10_000, 3600.0)]
)
def test_backoff_doubles(attempt: int, delay: float) -> None:
    """A delay after a failure doubles until the ceiling."""
    assert delay == backoff_seconds(attempt, first=30, ceiling=3600, chance=0.5)


def test_backoff_is_spread_below_the_ceiling() -> None:
    """Chance moves a delay by up to a quarter, and never above the ceiling."""
    assert 22.5 == backoff_seconds(0, first=30, ceiling=3600, chance=0.0)
    assert 36.0 < backoff_seconds(0, first=30, ceiling=3600, chance=0.99) < 37.5
    assert 3600.0 == backoff_seconds(20, first=30, ceiling=3600, chance=0.99)
