"""Limits in US dollars: reserved with the submission, and given back when nothing was created."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis
from support.day_budgets import DAY, refusal, spent
from support.ledger_world import START, SUBMIT_LEASE, TTL, World, marker_of

from mulequeue.settings.profiles import Limits

VEO = "google/v1/veo-3.1-fast/generation"
CENT = 10_000
LINE = 'mulequeue_prices = {"some/model": {"unit": "image", "usd": PRICE}}'


@pytest.fixture
def thrifty(redis: Redis) -> World:
    """A fleet that may spend ten cents per day."""
    return World(redis, max_usd_per_day=0.10)


# -- a day -------------------------------------------------------------------------------------


def test_the_limit_is_reached_to_the_millionth(thrifty: World) -> None:
    """What fits exactly is submitted; what costs a millionth more fails and names the limit."""
    thrifty.generating("a", usd_micros=6 * CENT)
    thrifty.generating("b", usd_micros=3 * CENT)

    text = refusal(thrifty, thrifty.ask(thrifty.intent("c", usd_micros=CENT + 1)))

    assert "It costs 0.010001 USD (estimate)" in text
    assert "max_usd_per_day of profile default, which is 0.10 USD, 0.01 USD is left" in text
    assert "Nothing was sent" in text
    thrifty.generating("d", usd_micros=CENT)
    assert 10 * CENT == spent(thrifty, "usd")
    thrifty.check()


def test_a_cheaper_generation_still_fits(thrifty: World) -> None:
    """A refused generation reserves nothing."""
    assert "wake" == thrifty.ask(thrifty.intent("dear", usd_micros=11 * CENT)).action

    assert "submit" == thrifty.ask(thrifty.intent("cheap", usd_micros=10 * CENT)).action


def test_a_price_that_is_unknown_is_refused_with_the_line_that_sets_one(thrifty: World) -> None:
    """The limit could not hold otherwise."""
    text = refusal(thrifty, thrifty.ask(thrifty.intent("t", price_line=LINE)))

    assert "price is unknown, and max_usd_per_day of profile default is set" in text
    assert f"Nothing was sent. Set the price: {LINE}" in text
    assert 0 == spent(thrifty, "total")


def test_a_free_generation_is_no_unknown_price(thrifty: World) -> None:
    """A price of zero is a price, and it is given back like any other."""
    intent = thrifty.submit("t", usd_micros=0)
    thrifty.ledger.generations.settle_submit(intent, "failed", None)

    assert 0 == spent(thrifty, "usd")
    thrifty.check()


def test_a_new_day_is_a_new_budget(thrifty: World) -> None:
    """At 00:00 UTC, by Redis' clock, the whole limit is available again."""
    thrifty.clock = START - START % DAY + DAY - 1
    thrifty.submit("a", usd_micros=10 * CENT)
    assert "wake" == thrifty.ask(thrifty.intent("b", usd_micros=1)).action

    thrifty.clock += 2

    assert "submit" == thrifty.ask(thrifty.intent("c", usd_micros=10 * CENT)).action


@pytest.mark.parametrize("end", ["refused", "cancelled while it waits", "cancelled, not created"])
def test_what_was_never_created_is_given_back(thrifty: World, end: str) -> None:
    """The money of a refused or cancelled submission is available to the next one, also in its batch."""
    intent = thrifty.submit("t", usd_micros=10 * CENT, batch_id="b", batch_size=1)
    if end == "refused":
        thrifty.ledger.generations.settle_submit(intent, "failed", None)
    elif end == "cancelled while it waits":
        thrifty.requeue(intent)
        assert 10 * CENT == spent(thrifty, "usd")  # it waits, and has its place
        thrifty.ledger.generations.cancel("t", ttl_seconds=TTL)
    else:
        thrifty.ledger.generations.cancel("t", ttl_seconds=TTL)
        assert thrifty.requeue(intent) is None

    assert 0 == spent(thrifty, "usd")
    assert "0" == thrifty.fields("batch:b")["usd"]
    thrifty.check()


@pytest.mark.parametrize("end", ["unknown", "died", "cancelled", "failed"])
def test_what_may_be_paid_stays_reserved(thrifty: World, end: str) -> None:
    """A lost answer, a cancelled or failed generation: each may be on the bill."""
    intent = thrifty.submit("t", usd_micros=CENT)
    if end == "unknown":
        thrifty.ledger.generations.settle_submit(intent, "submit_unknown", None)
    elif end == "died":
        thrifty.claim(SUBMIT_LEASE + 1)
    else:
        thrifty.record_id(intent, "r")
        if end == "failed":
            thrifty.ledger.generations.settle("t", None, "failed", {})
        else:
            thrifty.ledger.generations.cancel("t", ttl_seconds=TTL)

    assert CENT == spent(thrifty, "usd")
    thrifty.check()


def test_what_waits_over_midnight_is_reserved_on_the_day_it_is_sent(redis: Redis) -> None:
    """Its batch counts it once."""
    world = World(redis, limit=1, max_usd_per_day=1)
    world.clock = START - START % DAY + DAY - 10
    world.generating("first", usd_micros=CENT)
    world.ask(world.intent("waits", usd_micros=CENT, batch_id="b", batch_size=1))
    world.clock += 20
    world.ledger.generations.settle("first", None, "succeeded", {})
    (wake,) = [it for it in world.claim().wakes if it.task_id == "waits"]

    assert "submit" == world.deliver(wake, usd_micros=CENT).action

    assert CENT == spent(world, "usd")
    assert str(CENT) == world.fields("batch:b")["usd"]
    world.clock -= 20
    assert CENT == spent(world, "usd")
    world.check()


def test_a_limit_that_is_set_at_noon_knows_of_the_morning(world: World, redis: Redis) -> None:
    """Costs are counted though nothing limits them, so that a limit set today holds today."""
    world.generating("a", usd_micros=9 * CENT)

    world.profile = World(redis, max_usd_per_day=0.10).profile

    assert "wake" == world.ask(world.intent("b", usd_micros=2 * CENT)).action


@pytest.mark.parametrize("price_is_known", [True, False])
def test_the_limit_holds_for_what_waited_without_a_cost(redis: Redis, price_is_known: bool) -> None:
    """An earlier version parked it, or the limit was set since then: its wake reserves its cost."""
    world = World(redis)
    world.requeue(world.submit("t"), 1)
    (wake,) = world.claim(2).wakes
    world.profile = World(redis, max_usd_per_day=0.10).profile

    given = {"usd_micros": CENT} if price_is_known else {"price_line": LINE}
    verdict = world.deliver(wake, **given)

    if price_is_known:
        assert "submit" == verdict.action
        assert (CENT, 1) == (spent(world, "usd"), spent(world, "total"))
    else:
        assert "price is unknown" in refusal(world, verdict)
        assert (0, 0) == (spent(world, "usd"), spent(world, "total"))
    world.check()


def test_a_changed_price_changes_no_reservation(redis: Redis) -> None:
    """A waiting generation keeps the estimate that was reserved for it."""
    world = World(redis, max_usd_per_day=0.10)
    world.requeue(world.submit("t", usd_micros=CENT), 1)
    (wake,) = world.claim(2).wakes

    assert "submit" == world.deliver(wake, usd_micros=99 * CENT).action

    assert CENT == spent(world, "usd")


def test_a_model_has_a_limit_of_its_own(redis: Redis) -> None:
    """Its profile has another one; both hold."""
    world = World(redis, max_usd_per_day=1, models={VEO: Limits(max_usd_per_day=0.5)})
    world.generating("film", path=VEO, usd_micros=50 * CENT)

    text = refusal(world, world.ask(world.intent("film-2", path=VEO, usd_micros=1)))

    assert f"max_usd_per_day of {VEO} in profile default, which is 0.50 USD" in text
    assert "submit" == world.ask(world.intent("picture", usd_micros=50 * CENT)).action
    assert "wake" == world.ask(world.intent("one more", usd_micros=1)).action


def test_adopting_costs_nothing(thrifty: World) -> None:
    """A generation that exists already was paid for already."""
    thrifty.record_id(thrifty.intent("adopted", usd_micros=CENT), "r")

    assert 0 == spent(thrifty, "usd")


# -- a batch -----------------------------------------------------------------------------------


def test_a_batch_spends_no_more_than_its_limit(redis: Redis) -> None:
    """Each member reserves its cost; another batch, and no batch, have their own."""
    world = World(redis, max_usd_per_batch=0.05)
    given: dict[str, Any] = {"batch_id": "b", "batch_size": 3, "usd_micros": 2 * CENT}

    verdicts = [world.ask(world.intent(f"m{index}", **given)) for index in range(3)]

    assert ["submit", "submit", "wake"] == [verdict.action for verdict in verdicts]
    assert "max_usd_per_batch of profile default, which is 0.05 USD" in refusal(world, verdicts[2])
    assert "submit" == world.ask(world.intent("other", **{**given, "batch_id": "c"})).action
    assert "submit" == world.ask(world.intent("alone", price_line=LINE)).action
    world.check()


def test_a_batch_of_an_unknown_price_is_refused(redis: Redis) -> None:
    """Each member, with the line that sets the price."""
    world = World(redis, models={VEO: Limits(max_usd_per_batch=1)})
    given = {"batch_id": "b", "batch_size": 1, "path": VEO, "price_line": LINE}

    text = refusal(world, world.ask(world.intent("m", **given)))

    assert f"max_usd_per_batch of {VEO} in profile default is set" in text
    assert LINE in text


def test_a_woken_member_is_not_reserved_again(redis: Redis) -> None:
    """A member that the API refused as one too many has its place in batch and day."""
    world = World(redis, max_usd_per_batch=0.01, max_usd_per_day=0.01)
    given = {"batch_id": "b", "batch_size": 1, "usd_micros": CENT}
    world.requeue(world.submit("m0", **given), 1)
    (wake,) = world.claim(2).wakes

    assert "submit" == world.ask(world.intent("m0", marker=marker_of(wake), **given)).action
    assert CENT == spent(world, "usd")
    world.check()
