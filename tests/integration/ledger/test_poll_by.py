"""Whoever makes something due hears whether a poll message has to be published for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.ledger_world import World

Look = Callable[[World], "float | None"]


def after_a_create(world: World) -> float | None:
    intent = world.submit("t")
    return world.ledger.generations.record_id(
        intent, "r", parked={}, first_poll_seconds=20.0, max_wait_seconds=600.0
    ).effects.poll_by


def after_a_download_began(world: World) -> float | None:
    return world.ledger.leases.begin("d", "run", {"task": "mulequeue.download"}).effects.poll_by


@pytest.fixture(params=[after_a_create, after_a_download_began])
def look(request: pytest.FixtureRequest) -> Look:
    return request.param  # type: ignore[no-any-return]


def test_nobody_looks_yet(world: World, look: Look) -> None:
    """Where no message is on its way one is needed by the time the new one is due."""
    assert world.clock + 20 == pytest.approx(look(world))


def test_a_message_is_on_its_way(world: World, look: Look) -> None:
    """A message that comes before it is due is enough: its sweep sees to the rest."""
    assert world.ledger.polling.schedule(world.clock + 19) is not None

    assert look(world) is None


def test_a_message_comes_too_late(world: World, look: Look) -> None:
    """A message for later is no help for what is due sooner."""
    assert world.ledger.polling.schedule(world.clock + 40) is not None

    assert world.clock + 20 == pytest.approx(look(world))


def test_a_lost_message_does_not_count(world: World, look: Look) -> None:
    """A message that should have come seconds ago is lost, and another one is needed."""
    assert world.ledger.polling.schedule(world.clock) is not None
    world.clock += 3.5

    assert world.clock + 20 == pytest.approx(look(world))


def test_a_sweep_that_runs_is_enough(world: World, look: Look) -> None:
    """A running sweep finds it when it ends; once its lease lapsed a message is needed."""
    message = world.ledger.polling.schedule(world.clock)
    assert message is not None
    assert world.ledger.polling.begin_sweep(message.token)

    assert look(world) is None
    following = world.ledger.polling.end_sweep(message.token, gap_seconds=0)
    assert following is not None
    assert world.clock + 20 == pytest.approx(following.due)


def test_rates_ask_for_an_earlier_look(world: World) -> None:
    """Where the next create may leave before the first check, that is when to look."""
    intent = world.submit("t")

    recorded = world.ledger.generations.record_id(
        intent, "r", parked={}, first_poll_seconds=20, max_wait_seconds=600, poll_by_seconds=1
    )

    assert world.clock + 1 == pytest.approx(recorded.effects.poll_by)


def test_a_webhook_was_faster(world: World) -> None:
    """An id whose end was told before it was recorded says so, and only that one."""
    told, other = world.submit("told"), world.submit("other")
    world.ledger.webhooks.record_event("event", "r1", {"status": "succeeded"})

    usual = {"parked": {}, "first_poll_seconds": 3.0, "max_wait_seconds": 600.0}

    assert world.ledger.generations.record_id(told, "r1", **usual).webhook_arrived
    assert not world.ledger.generations.record_id(other, "r2", **usual).webhook_arrived
