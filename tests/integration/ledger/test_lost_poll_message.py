"""The poll message is lost with its worker while others go on working."""

from __future__ import annotations

from support.ledger_world import World


def test_a_later_message_does_not_take_the_place_of_a_lost_one(world: World) -> None:
    """A transfer that parks its lease sends a message for what is overdue, not for its own time."""
    world.generating("order")
    lost = world.ledger.polling.schedule(world.clock + 3)
    assert lost is not None

    world.clock += 10
    message = world.ledger.polling.schedule(world.clock + 20)

    assert message is not None
    assert (world.clock, 0.0) == (message.due, message.countdown)
