"""What a day's budgets have counted, and how a delivery is refused by one."""

from __future__ import annotations

from mulequeue.ledger import Verdict, outcome_of
from support.ledger_world import World

DAY = 86_400


def refusal(world: World, verdict: Verdict) -> str:
    """The text with which a delivery was refused."""
    assert "wake" == verdict.action
    (wake,) = verdict.effects.wakes
    record = world.ledger.queries.record(wake.task_id)
    assert record is not None
    error = outcome_of(record).error
    assert error is not None
    assert ("failed", "BudgetExceeded") == (record.status, error.type)
    return f"{error.title}. {error.detail}"


def spent(world: World, name: str) -> int:
    """Today's count of that name: ``total``, a path, or ``usd`` in millionths of a US dollar."""
    day = int(world.clock // DAY)
    return int(world.fields(f"day:default:{day}").get(name, 0))
