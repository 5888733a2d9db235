"""The client repeats a command whose answer was lost, so every script may run twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.ledger_world import TTL, World, marker_of

Call = Callable[[World], Any]


def submitting(world: World) -> Call:
    intent = world.intent("t")
    return lambda world: world.ask(intent)


def waiting(world: World) -> Call:
    world.requeue(world.submit("other"), 60)
    intent = world.intent("t")
    return lambda world: world.ask(intent)


def refused(world: World) -> Call:
    intent = world.intent("t", refusal={"error": {"type": "InputError"}})
    return lambda world: world.ask(intent)


def cancelled_before(world: World) -> Call:
    world.ledger.generations.cancel("t", ttl_seconds=TTL)
    intent = world.intent("t")
    return lambda world: world.ask(intent)


def woken_to_submit(world: World) -> Call:
    world.requeue(world.submit("t"), 1)
    (wake,) = world.claim(2).wakes
    intent = world.intent("t", marker=marker_of(wake))
    return lambda world: world.ask(intent)


def delivering(world: World) -> Call:
    intent = world.intent("t", marker=marker_of(world.settled("t")))
    return lambda world: world.ask(intent).action


@pytest.mark.parametrize(
    "prepare", [submitting, waiting, refused, cancelled_before, woken_to_submit, delivering]
)
def test_a_delivery_that_asks_twice_hears_the_same(
    world: World, prepare: Callable[[World], Call]
) -> None:
    """The verdict of one run does not depend on how often it had to ask."""
    call = prepare(world)
    first = call(world)
    before = world.everything()

    assert first == call(world)
    assert before == world.everything()


def id_recorded(world: World) -> Call:
    intent = world.submit("t")
    return lambda world: world.record_id(intent, "r")


def id_attached(world: World) -> Call:
    intent = world.submit("t")
    world.ledger.generations.settle_submit(intent, "failed", None)
    return lambda world: world.record_id(intent, "r")


def retracted(world: World) -> Call:
    intent = world.submit("t")
    return lambda world: world.requeue(intent)


def submission_failed(world: World) -> Call:
    intent = world.submit("t")
    return lambda world: world.ledger.generations.settle_submit(intent, "failed", {})


def rescheduled(world: World) -> Call:
    world.generating("t")
    token = world.claim(4).token
    return lambda world: world.ledger.polling.reschedule(token, [("t", world.clock + 5, 1, 1)])


def found_over(world: World) -> Call:
    world.generating("t")
    token = world.claim(4).token
    return lambda world: world.ledger.generations.settle("t", token, "succeeded", {}, polls=1)


def told_by_webhook(world: World) -> Call:
    world.generating("t")
    return lambda world: world.ledger.generations.settle("t", None, "succeeded", {})


def delivered(world: World) -> Call:
    marker = marker_of(world.settled("t"))
    return lambda world: world.ledger.generations.end_delivery("t", marker, ttl_seconds=TTL)


def cancelled(world: World) -> Call:
    world.generating("t")
    return lambda world: world.ledger.generations.cancel("t", ttl_seconds=TTL)


def claimed(world: World) -> Call:
    world.generating("t")
    world.clock += 4
    return lambda world: world.claim(token="same")


@pytest.mark.parametrize(
    "prepare",
    [
        id_recorded,
        id_attached,
        retracted,
        submission_failed,
        rescheduled,
        found_over,
        told_by_webhook,
        delivered,
        cancelled,
        claimed,
    ],
)
def test_what_runs_twice_is_written_once(world: World, prepare: Callable[[World], Call]) -> None:
    """The second run of the same call finds everything done and changes nothing."""
    call = prepare(world)
    call(world)
    before = world.everything()

    call(world)

    assert before == world.everything()
    world.check()
