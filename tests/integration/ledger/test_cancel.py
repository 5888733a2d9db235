"""Cancelling: before, during and after everything else."""

from __future__ import annotations

import pytest
from support.ledger_world import SUBMIT_LEASE, TTL, World, wake_of

from mulequeue.ledger import Effects


@pytest.mark.parametrize("state", ["waiting", "generating"])
def test_cancel_settles_what_has_not_ended(world: World, state: str) -> None:
    """A waiting or generating task is settled as cancelled, and its wake is there at once."""
    world.put(state)

    was, effects = world.ledger.generations.cancel("t", ttl_seconds=TTL)

    assert was == state
    assert effects.wakes
    assert "cancelled" == world.fields("record:t")["status"]
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
    world.ledger.generations.cancel_batch("b")

    verdict = world.ask(world.intent("u", batch_id="b", batch_size=2))

    assert "wake" == verdict.action
    batch = world.ledger.queries.batch("b")
    assert batch is not None
    assert batch.is_cancelled
    assert (2, {"submitting": 1, "cancelled": 1}) == (batch.size, batch.counts)


def test_members_that_never_came_are_cancelled_too(world: World) -> None:
    """A batch that is cancelled before all of it was enqueued comes to an end all the same."""
    world.settled("t", batch_id="b", batch_size=5)

    world.ledger.generations.cancel_batch("b")

    batch = world.ledger.queries.batch("b")
    assert batch is not None
    assert (5, 1, 4) == (batch.over, batch.counts["succeeded"], batch.counts["cancelled"])


@pytest.mark.parametrize("end", ["failed", "submit_unknown", "not created", "died"])
def test_cancel_during_the_post_is_heeded_whatever_comes_of_it(world: World, end: str) -> None:
    """A task flagged while submitting ends cancelled: refused, unknown, not created or abandoned."""
    intent = world.submit("t")
    world.ledger.generations.cancel("t", ttl_seconds=TTL)

    if end == "not created":
        requeue = world.ledger.generations.requeue
        wake = wake_of(requeue(intent, retry_after_seconds=None, first=5, ceiling=300))
    elif end == "died":
        (wake,) = world.claim(SUBMIT_LEASE + 1).wakes
    else:
        wake = wake_of(world.ledger.generations.settle_submit(intent, end, None))

    assert wake is not None
    assert ("settled", "cancelled") == (world.state("t"), world.fields("record:t")["status"])
