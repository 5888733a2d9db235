"""What a status check means for a record."""

from __future__ import annotations

import pytest

from mulequeue.api.parsing import read_task
from mulequeue.engine.poll.decide import PollAgain, decide
from mulequeue.ledger import Due

NOW = 1_800_000_000.0


def wait(
    interval: float | None, *, has_webhooks: bool, path: str = "alibaba/v1/wan2.6-t2i/generation"
):
    """Seconds to the next check of a generation that is still active."""
    due = Due("task", "remote", path, "default", 50, 0, interval, NOW - 60, NOW - 60, NOW + 600)
    active = read_task({"task_info": {"id": "remote", "status": "processing"}})
    again = decide(due, active, now=NOW, chance=0.5, grace_seconds=60, has_webhooks=has_webhooks)
    assert isinstance(again, PollAgain)
    return again.due - NOW


@pytest.mark.parametrize(
    ("interval", "usual", "with_webhooks"),
    [(0.1, 0.1, 0.6), (5, 5, 30), (10, 10, 60), (30, 30, 60), (120, 120, 120)],
)
def test_checks_are_rarer_while_webhooks_come(interval, usual, with_webhooks):
    """A check is put off six times as long, at most a minute, and never comes sooner."""
    assert usual == pytest.approx(wait(interval, has_webhooks=False))
    assert with_webhooks == pytest.approx(wait(interval, has_webhooks=True))


def test_the_models_own_cadence_is_stretched_too():
    """Without an interval of the caller's the model's cadence is what becomes rarer."""
    usual = wait(None, has_webhooks=False)

    assert min(6 * usual, 60) == pytest.approx(wait(None, has_webhooks=True))
