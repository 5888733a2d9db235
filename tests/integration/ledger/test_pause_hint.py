"""Watching a batch reports that submissions are paused."""

from __future__ import annotations

from support.ledger_line import KLING, PATH, VEO
from support.ledger_world import World

from mulequeue.cli.watch_checks import note_pause
from mulequeue.ledger import Pause, Scope


def test_a_pause_is_reported(world: World) -> None:
    """While a profile is paused by hand, with the command that ends it; otherwise nothing is."""
    said: list[str] = []
    note_pause(world.ledger, said.append, PATH)
    assert [] == said

    world.ledger.limits.pause_submissions("default")
    note_pause(world.ledger, said.append, PATH)
    world.ledger.limits.resume_submissions("default")
    note_pause(world.ledger, said.append, PATH)

    [text] = said
    assert "mulequeue unpause --profile default" in text


def test_a_pause_of_another_model_is_not_reported(world: World) -> None:
    """Who watches a model is told why it waits, with what to fix, and nothing of the other models."""
    said: list[str] = []
    for path in (PATH, VEO):
        intent = world.submit(path, path=path)
        reason = f"the balance is too low for {path}. Top it up"
        pause = Pause(scope=Scope.MODEL, reason=reason, first=5, ceiling=60)
        world.ledger.generations.requeue(intent, pause)
        world.record_id(world.submit(f"{path}-2", path=KLING), f"remote-{path}")

    note_pause(world.ledger, said.append, VEO)

    assert [f"Submissions are paused: the balance is too low for {VEO}. Top it up ({VEO})"] == said
