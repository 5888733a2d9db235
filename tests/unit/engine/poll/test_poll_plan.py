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
    FEWEST_LIVES,
    FIRST_FACTOR,
    FLOOR_SECONDS,
    Cadence,
    learned,
    usable,
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
    ).filter(lambda life: life.high > 0),
    min_size=1,
    max_size=100,
)


def exactly(*lives: float) -> list[DurationSample]:
    return [DurationSample(life, life) for life in lives]


def evenly(low: float, high: float, count: int = 100) -> list[DurationSample]:
    return exactly(*(low + (high - low) * (at + 0.5) / count for at in range(count)))


def ages(cadence: Cadence) -> list[float]:
    """When it looks at one that goes on and on, until it has no more to say."""
    found = [0.0]
    while (wait := cadence.seconds(found[-1])) is not None:
        found.append(found[-1] + wait)
    return found[1:]


@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        (evenly(5, 30), [10.6, 15.4, 19.4, 23.3, 25.7, 27.9, 29.6, 31.2]),
        (evenly(11, 13), [12.3, 13.9]),
        (exactly(*[12.0] * 30), [13.2]),
        (exactly(*[8.0] * 60, *[40.0] * 40), [8.8, 16.8, 24.8, 32.8, 40.8, 44.0]),
        (evenly(1, 2), [1.9, 3.4]),
    ],
)
def test_looks_where_lives_end(lives: list[DurationSample], expected: list[float]) -> None:
    """Even lives are looked at ever more often, equal ones once, and nothing while nothing ends."""
    assert expected == pytest.approx(ages(Cadence(lives, IMAGE)), abs=0.1)


def test_a_weight_is_as_good_as_so_many_lives() -> None:
    """What ended together may be told in one line."""
    many = exactly(*[8.0] * 30, *[20.0] * 10)
    few = [DurationSample(8.0, 8.0, 30), DurationSample(20.0, 20.0, 10)]

    assert ages(Cadence(many, IMAGE)) == pytest.approx(ages(Cadence(few, IMAGE)))


@given(lives=lives_of_any_kind, age=st.floats(0.001, 3000), chance=st.floats(0, 0.999))
def test_waits_keep_the_bounds(lives: list[DurationSample], age: float, chance: float) -> None:
    """Whatever is known: never within the floor, nor rarer than the ceiling or what the page asks."""
    for schedule in (IMAGE, ASKED):
        cadence = Cadence(lives, schedule)
        first, later = cadence.seconds(0.0, chance), cadence.seconds(age, chance)

        least = max(FLOOR_SECONDS, schedule.low)
        assert first is not None
        assert least <= first <= min(schedule.high, FIRST_FACTOR * schedule.ceiling * 1.1)
        assert later is None or least <= later <= min(schedule.high, schedule.ceiling * 1.1)


@given(lives=lives_of_any_kind)
def test_what_has_outlived_all_is_left_to_its_model(lives: list[DurationSample]) -> None:
    """Beyond the longest known life nothing is said, and before the first end something is."""
    cadence = Cadence(lives, IMAGE)

    assert cadence.seconds(2 * max(life.high for life in lives) + 1) is None
    assert cadence.seconds(0.0) is not None


def test_a_few_stragglers_are_not_waited_for() -> None:
    """One in a hundred that took minutes leaves the rest of the way to the model's own schedule."""
    cadence = Cadence([*evenly(5, 10, 99), *exactly(600)], IMAGE)

    assert cadence.seconds(11) is None


@given(chance=st.floats(0, 0.999))
def test_jitter_spreads_the_first_checks_of_a_batch(chance: float) -> None:
    """A tenth each way, as every other wait."""
    cadence = Cadence(evenly(20, 25), IMAGE)
    middle = cadence.seconds(0.0)

    assert middle is not None
    assert middle * (0.9 + 0.2 * chance) == pytest.approx(cadence.seconds(0.0, chance))


def test_too_few_lives_teach_nothing() -> None:
    """Up to some twenty the model's own schedule stands."""
    assert learned(exactly(*[12.0] * (FEWEST_LIVES - 1)), IMAGE) is None
    assert learned([DurationSample(12.0, 12.0, FEWEST_LIVES)], IMAGE) is not None
    assert learned([], IMAGE) is None


def test_what_was_found_long_after_it_ended_teaches_nothing() -> None:
    """An outage makes wide spans; one before the first check may be as wide as that check is late."""
    good = [DurationSample(0, 80), DurationSample(10, 30), DurationSample(400, 400)]

    assert good == usable([*good, DurationSample(0, 100), DurationSample(10, 40)], IMAGE)


# What it is worth: many generations, each after the other. What is learned is only what checks saw.


def follow(
    life: float, chance: random.Random, cadence: Cadence | None, schedule: PollSchedule
) -> tuple[float, int, float]:
    """Look at one generation: its age at the check that found its end, checks, age at the last before."""
    age, seen, checks = 0.0, 0.0, 0
    while True:
        wait = cadence.seconds(age, chance.random()) if cadence else None
        age += schedule.seconds(checks, chance.random()) if wait is None else wait
        age += 0.5 * chance.random()  # a sweep comes twice a second
        checks += 1
        if life <= age:
            return age, checks, seen
        seen = age


def live(
    life: Callable[[random.Random, int], float],
    count: int,
    *,
    is_told: bool,
    schedule: PollSchedule = IMAGE,
    learns: bool = True,
) -> list[tuple[float, int]]:
    """Lateness and checks of each; what was seen teaches the next ones, every tenth time."""
    chance, lives, cadence, found = random.Random(7), list[DurationSample](), None, []
    for number in range(count):
        lived = life(chance, number)
        age, checks, seen = follow(lived, chance, cadence, schedule)
        lives.insert(0, DurationSample(lived, lived) if is_told else DurationSample(seen, age))
        del lives[200:]
        found.append((age - lived, checks))
        if learns and number % 10 == 0:
            cadence = learned(lives, schedule)
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
    ("life", "later", "checks"), [(even, 1.0, 0.83), (skewed, 1.05, 0.9), (narrow, 0.5, 0.7)]
)
def test_is_worth_its_checks(
    life: Callable[[random.Random, int], float], later: float, checks: float, is_told: bool
) -> None:
    """Beside a check every 5 s: no later for a fifth fewer checks, far earlier where lives are alike."""
    ours = means(live(life, 1200, is_told=is_told)[200:])
    every_5 = means(live(life, 1200, is_told=True, schedule=EVERY_5, learns=False)[200:])

    assert ours[0] <= later * every_5[0]
    assert ours[1] <= checks * every_5[1]


@pytest.mark.parametrize("life", [even, narrow, skewed])
def test_does_not_learn_its_own_lateness(life: Callable[[random.Random, int], float]) -> None:
    """Where the API tells no times, thousands of generations later it is no later than at first."""
    found = live(life, 3000, is_told=False)

    assert means(found[2500:])[0] <= 1.2 * means(found[100:600])[0]
    assert means(found[2500:])[0] <= means(live(life, 600, is_told=True, learns=False))[0]


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "seen"])
@pytest.mark.parametrize("factor", [1 / 3, 3.0])
@pytest.mark.parametrize("life", [even, narrow])
def test_follows_a_model_that_changes(
    life: Callable[[random.Random, int], float], factor: float, is_told: bool
) -> None:
    """Suddenly three times as quick or slow: after some dozens no more checks are made than without all
    that was learned, and nearly as early as if it were always so; after two hundred, with as few."""

    def changed(chance: random.Random, number: int) -> float:
        return life(chance, number) * (factor if number >= 300 else 1)

    def always(chance: random.Random, number: int) -> float:
        return life(chance, number) * factor

    found = live(changed, 800, is_told=is_told)
    as_ever = means(live(always, 600, is_told=is_told)[300:])
    unlearned = means(live(always, 300, is_told=is_told, learns=False))

    assert means(found[380:500])[0] <= 1.3 * as_ever[0] + 0.5
    assert means(found[380:500])[1] <= max(unlearned[1], 1.3 * as_ever[1])
    assert means(found[520:])[0] <= 1.3 * as_ever[0]
    assert means(found[520:])[1] <= 1.3 * as_ever[1]
