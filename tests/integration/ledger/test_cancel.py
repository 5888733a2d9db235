"""Cancelling: before, during and after everything else."""

from __future__ import annotations

import pytest
from support.ledger_world import SUBMIT_LEASE, TTL, World, pause_of, wake_of

from mulequeue.ledger import CancelScope, Effects


@pytest.mark.parametrize("state", ["waiting", "generating"])
def test_cancel_settles_what_has_not_ended(world: World, state: str) -> None:
    """A waiting or generating task is settled as cancelled, and its wake is there at once."""
    world.put(state)

    was, effects = world.ledger.generations.cancel("t", ttl_seconds=TTL)

    assert was == state
    assert effects.wakes
    assert "cancelled" == world.fields("record:t")["status"]
    world.check()


@pytest.mark.parametrize("state", ["generating", "settled", "delivered"])
def test_what_waits_can_be_cancelled_alone(world: World, state: str) -> None:
    """What may be paid is not changed, in a batch without one that waits nothing is."""
    world.put(state, batch_id="b", batch_size=1)
    before = world.everything()

    found = world.ledger.generations.cancel_batch(
        "b", ["t"], ttl_seconds=TTL, which=CancelScope.WAITING
    )

    assert [state] == found[0]
    assert before == world.everything()


@pytest.mark.parametrize("is_batch", [True, False])
def test_what_is_being_sent_does_not_wait_again(world: World, is_batch: bool) -> None:
    """A generation whose create request is on its way ends if it is refused, and goes on if it is paid."""
    refused, accepted = (
        world.submit(name, batch_id="b" if is_batch else None, batch_size=2 if is_batch else None)
        for name in ("t", "u")
    )
    generations, which = world.ledger.generations, CancelScope.WAITING
    if is_batch:
        generations.cancel_batch("b", ["t", "u"], ttl_seconds=TTL, which=which)
    else:
        for task_id in ("t", "u"):
            generations.cancel(task_id, ttl_seconds=TTL, which=which)

    effects = generations.requeue(refused, pause_of(1))
    world.record_id(accepted, "r")

    assert ["t"] == [wake.task_id for wake in effects.wakes]
    assert "cancelled" == world.fields("record:t")["status"]
    assert "generating" == world.state("u")
    assert "cancel_unsent" not in world.fields("record:u")
    world.check()


def test_what_waits_in_a_batch_ends_and_the_rest_goes_on(world: World) -> None:
    """Members that have not begun never will; the one that the API has is still polled."""
    world.generating("u", batch_id="b", batch_size=3)
    world.put("waiting", batch_id="b", batch_size=3)

    states, effects = world.ledger.generations.cancel_batch(
        "b", ["t", "u"], ttl_seconds=TTL, which=CancelScope.WAITING
    )

    assert ["waiting", "generating"] == states
    assert ["t"] == [wake.task_id for wake in effects.wakes]
    batch = world.ledger.queries.batch("b")
    assert batch is not None
    assert (2, 1) == (batch.counts["cancelled"], batch.counts["generating"])
    assert "generating" == world.state("u")
    world.check()


@pytest.mark.parametrize("state", ["settled", "delivering", "delivered", "tombstone"])
def test_cancel_comes_too_late_for_an_outcome(world: World, state: str) -> None:
    """Cancelling what ended already changes nothing and tells in which state it was."""
    world.put(state)
    before = world.everything()

    assert (state, Effects()) == world.ledger.generations.cancel("t", ttl_seconds=TTL)
    assert before == world.everything()


def test_cancel_before_the_task_arrives(world: World) -> None:
    """A task cancelled before it is known never submits: the tombstone turns it into cancelled."""
    world.put("tombstone")
    assert 0 < world.redis.ttl(world.key("record:t")) <= TTL

    verdict = world.ask(world.intent("t"))

    assert "wake" == verdict.action
    assert "cancelled" == world.fields("record:t")["status"]
    assert -1 == world.redis.ttl(world.key("record:t"))


def test_members_of_a_cancelled_batch_never_submit(world: World) -> None:
    """The flag of a batch is seen by every intent that comes after it."""
    world.submit("t", batch_id="b", batch_size=2)
    world.ledger.generations.cancel_batch("b", ttl_seconds=TTL)

    verdict = world.ask(world.intent("u", batch_id="b", batch_size=2))

    assert "wake" == verdict.action
    batch = world.ledger.queries.batch("b")
    assert batch is not None
    assert batch.is_cancelled
    assert (2, {"submitting": 1, "cancelled": 1}) == (batch.size, batch.counts)


def test_members_that_never_came_are_cancelled_too(world: World) -> None:
    """A batch that is cancelled before all of it was enqueued comes to an end all the same."""
    world.settled("t", batch_id="b", batch_size=5)

    world.ledger.generations.cancel_batch("b", ttl_seconds=TTL)

    batch = world.ledger.queries.batch("b")
    assert batch is not None
    assert (5, 1, 4) == (batch.over, batch.counts["succeeded"], batch.counts["cancelled"])


@pytest.mark.parametrize("end", ["failed", "submit_unknown", "not created", "died"])
def test_cancel_during_the_post_is_heeded_whatever_comes_of_it(world: World, end: str) -> None:
    """A task flagged while submitting ends cancelled: refused, unknown, not created or abandoned."""
    intent = world.submit("t")
    world.ledger.generations.cancel("t", ttl_seconds=TTL)

    if end == "not created":
        wake = wake_of(world.ledger.generations.requeue(intent, pause_of()))
    elif end == "died":
        (wake,) = world.claim(SUBMIT_LEASE + 1).wakes
    else:
        wake = wake_of(world.ledger.generations.settle_submit(intent, end, None))

    assert wake is not None
    assert ("settled", "cancelled") == (world.state("t"), world.fields("record:t")["status"])
