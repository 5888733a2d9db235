"""The cadence that is learned from lives: what it promises for any lives, and what it is worth."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulequeue.catalog.poll_schedule import PollSchedule
from mulequeue.engine.poll.poll_plan import (
    FIRST_FACTOR,
    FLOOR_SECONDS,
    MIN_SAMPLES,
    PollPlan,
    fit,
    usable_samples,
)
from mulequeue.ledger import DurationSample

IMAGE = PollSchedule(first=5, factor=1.1, ceiling=8)
ASKED = PollSchedule(first=11, factor=1.1, ceiling=13.5, low=10, high=15)
EVERY_5 = PollSchedule.fixed(5.0)

seconds = st.floats(0.1, 2000)
lives_of_any_kind = st.lists(
    st.builds(
        lambda low, wide, weight: DurationSample(low, low + wide, weight),
        st.just(0.0) | seconds,
        st.just(0.0) | st.floats(0.01, 500),
        st.integers(1, 50),
    ).filter(lambda sample: sample.high > 0),
    min_size=1,
    max_size=100,
)


def exactly(*samples: float) -> list[DurationSample]:
    return [DurationSample(sample, sample) for sample in samples]


def evenly(low: float, high: float, count: int = 100) -> list[DurationSample]:
    return exactly(*(low + (high - low) * (at + 0.5) / count for at in range(count)))


def ages(poll_plan: PollPlan) -> list[float]:
    """When it looks at one that goes on and on, until it has no more to say."""
    found = [0.0]
    while (wait := poll_plan.seconds(found[-1])) is not None:
        found.append(found[-1] + wait)
    return found[1:]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (evenly(5, 30), [12.1, 17.1, 20.9, 23.6, 26.6, 29.9]),
        (evenly(11, 13), [11.6, 13.1]),
        (exactly(*[12.0] * 30), [12.0]),
        (exactly(*[8.0] * 60, *[40.0] * 40), [8.0, 16.0, 24.0, 32.0, 40.0]),
        (evenly(1, 2), [1.5, 3.0]),
    ],
)
def test_looks_where_lives_end(samples: list[DurationSample], expected: list[float]) -> None:
    """Each check comes when 28 % of those that are still active have ended."""
    assert expected == pytest.approx(ages(PollPlan(samples, IMAGE)), abs=0.1)


def test_a_weight_is_as_good_as_so_many_lives() -> None:
    """What ended together may be told in one line."""
    many = exactly(*[8.0] * 30, *[20.0] * 10)
    few = [DurationSample(8.0, 8.0, 30), DurationSample(20.0, 20.0, 10)]

    assert ages(PollPlan(many, IMAGE)) == pytest.approx(ages(PollPlan(few, IMAGE)))


@given(samples=lives_of_any_kind, age=st.floats(0.001, 3000), chance=st.floats(0, 0.999))
def test_waits_keep_the_bounds(samples: list[DurationSample], age: float, chance: float) -> None:
    """Whatever is known: never within the floor, nor rarer than the ceiling or what the page asks."""
    for schedule in (IMAGE, ASKED):
        poll_plan = PollPlan(samples, schedule)
        first, later = poll_plan.seconds(0.0, chance), poll_plan.seconds(age, chance)

        least = max(FLOOR_SECONDS, schedule.low)
        assert first is not None
        assert least <= first <= min(schedule.high, FIRST_FACTOR * schedule.ceiling * 1.1)
        assert later is None or least <= later <= min(schedule.high, schedule.ceiling * 1.1)


@given(samples=lives_of_any_kind)
def test_what_has_outlived_all_is_left_to_its_model(samples: list[DurationSample]) -> None:
    """Beyond the longest known life nothing is said, and before the first end something is."""
    poll_plan = PollPlan(samples, IMAGE)

    assert poll_plan.seconds(2 * max(sample.high for sample in samples) + 1) is None
    assert poll_plan.seconds(0.0) is not None


def test_a_few_stragglers_are_not_waited_for() -> None:
    """One in a hundred that took minutes leaves the rest of the way to the model's own schedule."""
    poll_plan = PollPlan([*evenly(5, 10, 99), *exactly(600)], IMAGE)

    assert poll_plan.seconds(11) is None


@given(chance=st.floats(0, 0.999))
def test_jitter_spreads_the_first_checks_of_a_batch(chance: float) -> None:
    """A tenth each way, as every other wait."""
    poll_plan = PollPlan(evenly(20, 25), IMAGE)
    middle = poll_plan.seconds(0.0)

    assert middle is not None
    assert middle * (0.9 + 0.2 * chance) == pytest.approx(poll_plan.seconds(0.0, chance))


def test_too_few_lives_teach_nothing() -> None:
    """Up to some twenty the model's own schedule stands."""
    assert fit(exactly(*[12.0] * (MIN_SAMPLES - 1)), IMAGE) is None
    assert fit([DurationSample(12.0, 12.0, MIN_SAMPLES)], IMAGE) is not None
    assert fit([], IMAGE) is None


def test_what_was_found_long_after_it_ended_teaches_nothing() -> None:
    """An outage makes wide spans; one before the first check may be as wide as that check is late."""
    good = [DurationSample(0, 80), DurationSample(10, 30), DurationSample(400, 400)]

    assert good == usable_samples([*good, DurationSample(0, 100), DurationSample(10, 40)], IMAGE)


# What it is worth: many generations, each after the other. What is learned is only what checks saw.


def follow(
    sample: float, chance: random.Random, poll_plan: PollPlan | None, schedule: PollSchedule
) -> tuple[float, int, float]:
    """Look at one generation: its age at the check that found its end, checks, age at the last before."""
    age, seen, checks = 0.0, 0.0, 0
    while True:
        wait = poll_plan.seconds(age, chance.random()) if poll_plan else None
        age += schedule.seconds(checks, chance.random()) if wait is None else wait
        age += 0.5 * chance.random()  # a sweep comes twice a second
        checks += 1
        if sample <= age:
            return age, checks, seen
        seen = age


def live(
    sample: Callable[[random.Random, int], float],
    count: int,
    *,
    is_told: bool,
    schedule: PollSchedule = IMAGE,
    learns: bool = True,
) -> list[tuple[float, int]]:
    """Lateness and checks of each; what was seen teaches the next ones, every tenth time."""
    chance, samples, poll_plan, found = random.Random(7), list[DurationSample](), None, []
    for number in range(count):
        lived = sample(chance, number)
        age, checks, seen = follow(lived, chance, poll_plan, schedule)
        samples.insert(0, DurationSample(lived, lived) if is_told else DurationSample(seen, age))
        del samples[100:]
        found.append((age - lived, checks))
        if learns and number % 10 == 0:
            poll_plan = fit(samples, schedule)
    return found


def means(found: Sequence[tuple[float, int]]) -> tuple[float, float]:
    return sum(late for late, _ in found) / len(found), sum(n for _, n in found) / len(found)


def even(chance: random.Random, number: int) -> float:
    return chance.uniform(5, 30)


def narrow(chance: random.Random, number: int) -> float:
    return max(chance.gauss(12, 1), 1)


def skewed(chance: random.Random, number: int) -> float:
    return chance.lognormvariate(math.log(14), 0.5)


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "seen"])
@pytest.mark.parametrize(
    ("sample", "later", "checks"), [(even, 1.02, 0.77), (skewed, 0.95, 0.95), (narrow, 0.4, 0.72)]
)
def test_is_worth_its_checks(
    sample: Callable[[random.Random, int], float], later: float, checks: float, is_told: bool
) -> None:
    """Beside a check every 5 s: as late for a quarter fewer checks, far earlier where lives are alike."""
    ours = means(live(sample, 1200, is_told=is_told)[200:])
    every_5 = means(live(sample, 1200, is_told=True, schedule=EVERY_5, learns=False)[200:])

    assert ours[0] <= later * every_5[0]
    assert ours[1] <= checks * every_5[1]


@pytest.mark.parametrize("sample", [even, narrow, skewed])
def test_does_not_learn_its_own_lateness(sample: Callable[[random.Random, int], float]) -> None:
    """Where the API tells no times, thousands of generations later it is no later than at first."""
    found = live(sample, 3000, is_told=False)

    assert means(found[2500:])[0] <= 1.2 * means(found[100:600])[0]
    assert means(found[2500:])[0] <= means(live(sample, 600, is_told=True, learns=False))[0]


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "seen"])
@pytest.mark.parametrize("factor", [1 / 3, 3.0])
@pytest.mark.parametrize("sample", [even, narrow])
def test_follows_a_model_that_changes(
    sample: Callable[[random.Random, int], float], factor: float, is_told: bool
) -> None:
    """Suddenly three times as quick or slow: after some dozens no more checks are made than without all
    that was learned, and nearly as early as if it were always so; after two hundred, with as few."""

    def changed(chance: random.Random, number: int) -> float:
        return sample(chance, number) * (factor if number >= 300 else 1)

    def always(chance: random.Random, number: int) -> float:
        return sample(chance, number) * factor

    found = live(changed, 800, is_told=is_told)
    as_ever = means(live(always, 600, is_told=is_told)[300:])
    unlearned = means(live(always, 300, is_told=is_told, learns=False))

    assert means(found[380:500])[0] <= 1.3 * as_ever[0] + 0.5
    assert means(found[380:500])[1] <= max(unlearned[1], 1.3 * as_ever[1])
    assert means(found[520:])[0] <= 1.3 * as_ever[0]
    assert means(found[520:])[1] <= 1.3 * as_ever[1]
