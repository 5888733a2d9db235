"""Watching a batch reports that submissions are paused."""

from __future__ import annotations

from support.ledger_world import World

from mulequeue.cli.hints import PAUSE_SECONDS, PauseHint


def test_a_pause_is_reported_once(world: World) -> None:
    """Once per pause, with the command that ends it; Redis is read every two seconds at most."""
    said: list[str] = []
    hint = PauseHint(world.ledger, said.append, clock=lambda: world.clock)

    def look() -> int:
        world.clock += PAUSE_SECONDS
        hint()
        hint()
        return len(said)

    assert 0 == look()
    world.ledger.limits.pause_submissions("default")
    hint()  # too early to look again
    assert [0, 1, 1] == [len(said), look(), look()]
    assert "mulequeue unpause --profile default" in said[0]

    world.ledger.limits.resume_submissions("default")
    look()
    world.ledger.limits.pause_submissions("default")
    assert 2 == look()
