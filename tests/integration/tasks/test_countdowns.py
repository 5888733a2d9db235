"""Countdown messages of the user's own beside generations."""

from __future__ import annotations

from collections.abc import Callable

from support.fleet import Fleet
from support.generations import new_id, one
from support.waiting import wait_until

COUNTDOWNS = 6


def test_a_limit_of_countdown_messages_stops_no_poller(make_fleet: Callable[..., Fleet]) -> None:
    """A worker that is full of them receives nothing; generations in progress end with another one."""
    fleet = make_fleet(celeryconfig="worker_eta_task_limit = 3", min_seconds=1, max_seconds=1)
    full = fleet.worker("-c", "1", "-Q", "celery")
    fleet.worker("-c", "1", "-Q", "mulequeue.poll,mulequeue.wake")
    task_id = new_id()
    result = one(fleet).apply_async(task_id=task_id)
    fleet.wait_for_state(task_id, "generating")
    for _ in range(COUNTDOWNS):
        fleet.task("user.noop").apply_async(countdown=600)
    wait_until(lambda: full.text.count("user.noop") >= 3, what="the worker to be full")

    assert "succeeded" == result.get(timeout=30)["status"]
    assert COUNTDOWNS > sum(
        "user.noop" in line and "received" in line for line in full.text.splitlines()
    )
