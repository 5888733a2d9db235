"""Tasks that expire while they wait for their turn to be submitted."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis
from support.ledger_world import World, marker_of, pause_of

from mulequeue.ledger import Intent, Scope


@pytest.fixture
def full(redis: Redis) -> World:
    """A fleet that may have one generation in flight, and has it."""
    world = World(redis, limit=1)
    world.generating("first")
    return world


def ask(world: World, seconds: float, **given: Any) -> str:
    """A task comes that expires after so many seconds; the verdict on it."""
    intent = world.intent("t", expires=world.clock + seconds, **given)
    return str(world.ask(intent).action)


def error(world: World) -> dict[str, Any]:
    record = world.ledger.queries.record("t")
    assert record is not None
    assert ("settled", "failed", None) == (record.state, record.status, record.remote_id)
    return dict(record.answer["error"])


def test_a_waiting_task_ends_when_it_expires(full: World) -> None:
    """It is woken with its outcome at that time: nothing was sent, and why it had to wait."""
    assert "parked" == ask(full, 4)
    assert [] == full.claim(3.9).wakes
    assert full.due("t") == pytest.approx(0.1, abs=0.01)

    (wake,) = full.claim(0.2).wakes

    assert "t" == wake.task_id
    assert ("Expired", "The limits of its profile or model are reached") == (
        error(full)["type"],
        error(full)["detail"],
    )
    assert "deliver" == full.deliver(wake).action
    full.check()


def test_its_turn_before_it_expires_is_taken(full: World) -> None:
    """What is submitted in time is not touched by the end of its message."""
    ask(full, 4)
    full.ledger.generations.settle("first", None, "succeeded", {})
    (wake,) = full.claim(1).wakes
    intent = full.intent("t", marker=marker_of(wake))

    verdict = full.ask(intent)

    assert ("submit", pytest.approx(3)) == (verdict.action, verdict.seconds)
    full.clock += 10
    full.record_id(intent, "r")
    assert "generating" == full.state("t")
    (check,) = full.claim(100).polls
    assert "t" == check.task_id


def test_a_wake_that_arrives_too_late_submits_nothing(full: World) -> None:
    """It was granted its turn, and expired before a worker took the message."""
    ask(full, 4)
    full.ledger.generations.settle("first", None, "succeeded", {})
    (wake,) = full.claim(1).wakes

    full.clock += 4

    assert "wake" == full.deliver(wake).action
    assert "Expired" == error(full)["type"]
    assert 0 == full.slots()
    full.check()


def test_a_lost_wake_delays_the_end_no_longer(full: World) -> None:
    """Its turn was granted, no worker took the message: it ends when it expires."""
    ask(full, 10)
    full.ledger.generations.settle("first", None, "succeeded", {})
    full.claim(1)

    assert ["t"] == [wake.task_id for wake in full.claim(9).wakes]
    assert "Expired" == error(full)["type"]


def test_a_task_that_has_expired_is_not_submitted(world: World) -> None:
    """Also if nothing would keep it from being sent."""
    assert "wake" == ask(world, -1)
    assert "Expired" == error(world)["type"]
    assert 0 == world.ledger.limits.submission_statuses(["default"])[0].today


def refused(world: World) -> None:
    world.requeue(world.submit("other"), 60)


def rejected_key(world: World) -> None:
    world.requeue(world.submit("other"), 60, Scope.KEY)


def by_hand(world: World) -> None:
    world.ledger.limits.pause_submissions("default")


@pytest.mark.parametrize(
    ("pause", "reason"),
    [(refused, "the reason"), (rejected_key, "the reason"), (by_hand, "An operator has paused")],
)
def test_the_outcome_names_the_pause(world: World, pause: Any, reason: str) -> None:
    """The caller is told what the task waited for."""
    pause(world)
    assert "parked" == ask(world, 4)

    world.claim(5)

    assert reason in error(world)["detail"]
    world.check()


def test_the_outcome_names_the_missing_key(world: World) -> None:
    """If no worker has a key, that is the reason."""
    assert "parked" == ask(world, 4, worker="w1", fault="No API key for profile 'default'.")

    world.claim(5)

    assert "No API key" in error(world)["detail"]


@pytest.mark.parametrize("scope", [*Scope, None])
def test_one_that_is_refused_after_it_expired_ends(world: World, scope: Scope | None) -> None:
    """A create that was not made does not wait again beyond its end."""
    intent = world.intent("t", expires=world.clock + 4)
    assert "submit" == world.ask(intent).action

    world.clock += 5
    effects = world.ledger.generations.requeue(intent, scope and pause_of(60, scope))

    assert ["t"] == [wake.task_id for wake in effects.wakes]
    assert "Expired" == error(world)["type"]
    world.check()


def test_one_that_is_refused_waits_until_it_expires(world: World) -> None:
    """The pause is longer than the rest of its time."""
    intent: Intent = world.intent("t", expires=world.clock + 4)
    world.ask(intent)

    assert world.clock + 4 == pytest.approx(world.requeue(intent, 60))

    assert ["t"] == [wake.task_id for wake in world.claim(4).wakes]
    assert "the reason" == error(world)["detail"]
