"""Caps on money: what a batch and a day may hold, refused before anything is sent."""

from __future__ import annotations

import pytest
from redis import Redis
from support.day_budgets import DAY, refusal, spent
from support.ledger_world import START, SUBMIT_LEASE, TTL, World, marker_of

from mulequeue.settings.profiles import Limits

VEO = "google/v1/veo-3.1-fast/generation"


@pytest.fixture
def thrifty(redis: Redis) -> World:
    """A fleet that may make three generations a day."""
    return World(redis, max_per_day=3)


# -- a day -------------------------------------------------------------------------------------


def test_the_days_budget_is_exact(thrifty: World) -> None:
    """Three are submitted; the fourth fails at once and says what to do."""
    for name in "abc":
        thrifty.generating(name)

    text = refusal(thrifty, thrifty.ask(thrifty.intent("d")))

    assert "max_per_day of profile default is 3" in text
    assert "Nothing was sent" in text
    assert 3 == spent(thrifty, "total")
    thrifty.check()


def test_a_new_day_is_a_new_budget(thrifty: World) -> None:
    """At 00:00 UTC, by Redis' clock, three more may go."""
    thrifty.clock = START - START % DAY + DAY - 1
    for name in "abc":
        thrifty.submit(name)
    assert "wake" == thrifty.ask(thrifty.intent("d")).action

    thrifty.clock += 2

    assert "submit" == thrifty.ask(thrifty.intent("e")).action


@pytest.mark.parametrize("end", ["refused", "cancelled while it waits", "cancelled, not created"])
def test_what_was_never_created_gives_its_place_back(thrifty: World, end: str) -> None:
    """What the API refused, and what was cancelled before anything was sent, costs nothing."""
    intent = thrifty.submit("t")
    if end == "refused":
        thrifty.ledger.generations.settle_submit(intent, "failed", None)
    elif end == "cancelled while it waits":
        thrifty.requeue(intent)
        assert 1 == spent(thrifty, "total")  # it stands in line, and has its place
        thrifty.ledger.generations.cancel("t", ttl_seconds=TTL)
    else:
        thrifty.ledger.generations.cancel("t", ttl_seconds=TTL)
        assert thrifty.requeue(intent) is None

    assert 0 == spent(thrifty, "total")
    thrifty.check()


@pytest.mark.parametrize("end", ["unknown", "died", "cancelled", "failed", "cancelled, unknown"])
def test_what_may_be_paid_keeps_its_place(thrifty: World, end: str) -> None:
    """A lost answer, a cancelled or failed generation: each may be on the bill."""
    intent = thrifty.submit("t")
    if end == "unknown":
        thrifty.ledger.generations.settle_submit(intent, "submit_unknown", None)
    elif end == "died":
        thrifty.claim(SUBMIT_LEASE + 1)
    elif end == "cancelled, unknown":
        thrifty.ledger.generations.cancel("t", ttl_seconds=TTL)
        thrifty.ledger.generations.settle_submit(intent, "submit_unknown", None)
    else:
        thrifty.record_id(intent, "r")
        if end == "failed":
            thrifty.ledger.generations.settle("t", None, "failed", {})
        else:
            thrifty.ledger.generations.cancel("t", ttl_seconds=TTL)

    assert 1 == spent(thrifty, "total")
    thrifty.check()


def test_what_waits_over_midnight_counts_on_the_day_it_is_sent(redis: Redis) -> None:
    """A place is taken on the new day and given back on the old one; without one it is refused."""
    world = World(redis, limit=1, max_per_day=2)
    world.clock = START - START % DAY + DAY - 10
    world.generating("first")
    world.ask(world.intent("waits"))
    world.clock += 20
    world.ledger.generations.settle("first", None, "succeeded", {})
    (wake,) = [it for it in world.claim().wakes if it.task_id == "waits"]

    assert "submit" == world.deliver(wake).action

    assert 1 == spent(world, "total")
    world.clock -= 20
    assert 1 == spent(world, "total")


def test_what_waited_too_long_finds_the_new_days_budget_spent(redis: Redis) -> None:
    """It fails like any other, and gives up its slot."""
    world = World(redis, limit=1, max_per_day=2)
    world.clock = START - START % DAY + DAY - 10
    world.generating("first")
    world.ask(world.intent("waits"))
    world.clock += 20
    world.redis.hset(world.key(f"day:default:{int(world.clock // DAY)}"), "total", 2)
    world.ledger.generations.settle("first", None, "succeeded", {})
    (wake,) = [it for it in world.claim().wakes if it.task_id == "waits"]

    assert "max_per_day" in refusal(world, world.deliver(wake))
    assert 0 == world.slots()


def test_a_model_has_a_budget_of_its_own(redis: Redis) -> None:
    """One film a day; pictures as many as anybody likes."""
    world = World(redis, models={VEO: Limits(max_per_day=1)})
    world.generating("film", path=VEO)

    text = refusal(world, world.ask(world.intent("film-2", path=VEO)))

    assert f"max_per_day of {VEO} in profile default is 1" in text
    assert "submit" == world.ask(world.intent("picture")).action
    assert (1, 2) == (spent(world, VEO), spent(world, "total"))


def test_a_budget_that_is_set_at_noon_knows_of_the_morning(world: World, redis: Redis) -> None:
    """Submissions are counted though nobody limits them, so that a cap set today holds today."""
    for name in "abc":
        world.generating(name)

    world.profile = World(redis, max_per_day=3).profile

    assert "wake" == world.ask(world.intent("d")).action


def test_adopting_costs_nothing(thrifty: World) -> None:
    """What exists already is paid already."""
    thrifty.record_id(thrifty.intent("adopted"), "r")

    assert 0 == spent(thrifty, "total")


def test_days_are_forgotten(thrifty: World) -> None:
    """The counts of a day are kept for some days and not for ever."""
    thrifty.submit("t")

    seconds = thrifty.redis.ttl(thrifty.key(f"day:default:{int(thrifty.clock // DAY)}"))
    assert DAY < seconds <= 3 * DAY


# -- a batch -----------------------------------------------------------------------------------


def test_a_batch_that_is_too_large_is_refused_as_a_whole(redis: Redis) -> None:
    """Not even its first member is sent, whichever process enqueued it."""
    world = World(redis, max_per_batch=2)

    texts = [
        refusal(world, world.ask(world.intent(f"m{index}", batch_id="b", batch_size=3)))
        for index in range(3)
    ]

    assert all("A batch of 3 is larger than max_per_batch" in text for text in texts)
    assert 0 == spent(world, "total")
    world.check()


def test_a_batch_of_the_largest_size_goes(redis: Redis) -> None:
    """The cap itself is allowed; a member more than the batch said is not."""
    world = World(redis, models={VEO: Limits(max_per_batch=2)})
    given = {"batch_id": "b", "batch_size": 2, "path": VEO}

    verdicts = [world.ask(world.intent(f"m{index}", **given)) for index in range(3)]

    assert ["submit", "submit", "wake"] == [verdict.action for verdict in verdicts]


def test_a_batch_that_is_enqueued_twice_counts_once(redis: Redis) -> None:
    """The same members again are duplicates, and no more of them than there were."""
    world = World(redis, max_per_batch=2, max_per_day=2)
    given = {"batch_id": "b", "batch_size": 2}

    for name in ("m0", "m1", "m0", "m1"):
        world.ask(world.intent(name, **given))

    assert 2 == spent(world, "total")
    assert {"submitting": 2} == world.ledger.queries.counts()


def test_a_woken_member_is_not_counted_again(redis: Redis) -> None:
    """What the API refused as one too many takes one place of the batch and of the day."""
    world = World(redis, max_per_batch=1, max_per_day=1)
    world.requeue(world.submit("m0", batch_id="b", batch_size=1), 1)
    (wake,) = world.claim(2).wakes

    assert (
        "submit"
        == world.ask(world.intent("m0", marker=marker_of(wake), batch_id="b", batch_size=1)).action
    )
    assert 1 == spent(world, "total")
