"""Who watches a batch is told that somebody has paused it."""

from __future__ import annotations

from support.ledger_world import World

from mulequeue.cli.pause_hint import REFRESH_SECONDS, PauseHint


def test_a_pause_is_said_once_as_long_as_it_lasts(world: World) -> None:
    """Once a pause, with the line that ends it, and Redis is asked every two seconds at most."""
    said: list[str] = []
    hint = PauseHint(world.ledger, said.append, clock=lambda: world.clock)

    def look() -> int:
        world.clock += REFRESH_SECONDS
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
