"""Wakes into a queue that no worker takes."""

from __future__ import annotations

from support.ledger_world import World

DAY = 24 * 3600
FLEET = 50


def test_a_queue_that_nobody_takes_does_not_fill_up(world: World) -> None:
    """Over a whole day without a consumer every outcome is woken some thirty times, ever more
    rarely, whatever the number of sweeps; then one wake of each is enough.
    """
    for number in range(FLEET):
        world.settled(f"t{number}")
    published = 0
    begin = world.clock

    while world.clock < begin + DAY:
        published += len(world.claim(10).wakes)

    assert 25 * FLEET <= published <= 31 * FLEET
    latest = {wake.task_id: wake for wake in world.claim(3600).wakes}
    assert FLEET == len(latest)
    for wake in latest.values():
        assert "deliver" == world.deliver(wake).action
