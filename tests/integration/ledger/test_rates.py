"""Submissions per second and per minute, as the API sees them."""

from __future__ import annotations

import pytest
from redis import Redis
from support.ledger_random import run_orders
from support.ledger_rates import RatesMachine
from support.ledger_world import SUBMIT_LEASE, TTL, World

from mulequeue.settings.profiles import Limits

VEO = "google/v1/veo-3.1-fast/generation"


@pytest.fixture
def slow(redis: Redis) -> World:
    """A fleet that may submit twice a second."""
    return World(redis, submissions_per_second=2)


def places(world: World) -> list[float]:
    """When the places of the second are free again, seconds from now."""
    found = world.redis.zrange(world.key("rate:default:1"), 0, -1, withscores=True)
    return [score - world.clock for _, score in found]


def test_a_place_is_taken_until_a_window_after_the_answer(slow: World) -> None:
    """However long the request travelled: it may have arrived a moment before it was answered."""
    intent = slow.submit("a")
    slow.submit("b")
    assert "parked" == slow.ask(slow.intent("c")).action
    slow.clock += 20
    slow.record_id(intent, "r")

    assert [] == slow.claim(0.9).wakes
    assert ["c"] == [wake.task_id for wake in slow.claim(0.2).wakes]


def test_without_an_answer_it_is_taken_until_a_window_after_the_lease(slow: World) -> None:
    """A worker that died may have sent its request as late as its lease allowed."""
    slow.submit("a")
    slow.submit("b")
    slow.ask(slow.intent("c"))

    found = slow.claim(SUBMIT_LEASE + 0.5).wakes
    assert {"a", "b"} == {wake.task_id for wake in found}
    assert "submit_unknown" == slow.fields("record:a")["status"]
    assert ["c"] == [wake.task_id for wake in slow.claim(30).wakes if wake.task_id == "c"]


def test_a_create_that_was_refused_as_too_many_counts_for_one_window(slow: World) -> None:
    """It arrived, so it has a place; tried again it takes another one."""
    for intent in [slow.submit(name) for name in "ab"]:
        slow.requeue(intent, 0.5)

    assert [1.001] * 2 == pytest.approx(places(slow))
    assert [] == slow.claim(0.9).wakes
    assert ["a"] == [wake.task_id for wake in slow.claim(0.2).wakes]
    assert [float("inf")] == places(slow)
    slow.check()


def test_what_was_granted_and_not_sent_gives_its_place_back(slow: World) -> None:
    """Cancelled between its wake and its delivery, it takes nothing from the others."""
    first = [slow.submit(name) for name in "ab"]
    for name in "cd":
        slow.ask(slow.intent(name))
    for intent in first:
        slow.ledger.generations.settle_submit(intent, "failed", None)
    assert {"c", "d"} == {wake.task_id for wake in slow.claim(1.1).wakes}
    assert [float("inf")] * 2 == places(slow)

    slow.ledger.generations.cancel("c", ttl_seconds=TTL)

    assert [float("inf")] == places(slow)
    assert "submit" == slow.ask(slow.intent("e")).action
    slow.check()


def test_what_nobody_gave_up_blocks_nobody(redis: Redis) -> None:
    """A worker of an older version ends what was granted and gives up no place: it is forgotten at rest."""
    limits = Limits(max_in_flight=1, submissions_per_minute=1)
    world = World(redis, submissions_per_second=1, models={VEO: limits})
    redis.hset(world.key("gate:default"), f"slots:{VEO}", 1)
    for key in ("rate:default:1", f"rate:default:60:{VEO}"):
        redis.zadd(world.key(key), {"7": "+inf"})

    world.submit("t", path=VEO)

    world.check()


def test_the_longer_window_counts_as_well(redis: Redis) -> None:
    """Three a minute are three a minute, though two a second are allowed."""
    world = World(redis, submissions_per_second=2, submissions_per_minute=3)
    for name in "abc":
        world.generating(name)
        world.clock += 1.1
    assert "parked" == world.ask(world.intent("d")).action

    assert [] == world.claim(50).wakes
    assert ["d"] == [wake.task_id for wake in world.claim(10).wakes]


def test_a_model_has_its_own_rate(redis: Redis) -> None:
    """One a minute of this model; of others as many as come."""
    world = World(redis, models={VEO: Limits(submissions_per_minute=1)})
    world.generating("veo", path=VEO)

    assert "parked" == world.ask(world.intent("veo-2", path=VEO)).action
    assert all("submit" == world.ask(world.intent(f"t{index}")).action for index in range(20))
    assert ["veo-2"] == [wake.task_id for wake in world.claim(60.1).wakes]


@pytest.mark.parametrize("of_model", [False, True])
def test_who_waits_is_looked_at_when_there_is_room(redis: Redis, of_model: bool) -> None:
    """Whoever comes between two windows is told when the next one begins, and not later."""
    rate = {"submissions_per_second": 1}
    world = World(redis, **({"models": {VEO: Limits(**rate)}} if of_model else rate))
    world.generating("a", path=VEO)
    world.clock += 0.1

    verdict = world.ask(world.intent("b", path=VEO))

    assert verdict.effects.poll_by is not None
    assert 0.901 == pytest.approx(verdict.effects.poll_by - world.clock, abs=1e-3)


def test_nothing_is_kept_of_rates_that_nobody_limits(world: World) -> None:
    """Without a rate there is no set of places, and no number in the records."""
    intent = world.submit("t")
    world.record_id(intent, "r")

    assert [] == list(world.redis.scan_iter("*rate:*"))
    assert "grant" not in world.fields("record:t")


def test_no_window_and_no_number_in_flight_is_ever_exceeded(redis: Redis) -> None:
    """However requests are delayed, lost, refused or woken: the API never sees one too many."""
    run_orders(RatesMachine, redis, examples=25)
