"""Workers die or sleep around the one request that costs money."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from support.deaths import (
    SHORT_VISIBILITY,
    assert_paid_once,
    freeze,
    generate,
    kill_pool,
    note,
    notes,
    thaw,
    wait_awake,
)
from support.fleet import Fleet
from support.waiting import wait_until
from support.workers import WorkerProcess

# The lease of a submission is its timeout and 15 seconds.
QUICK = {"MULEQUEUE_SUBMIT_TIMEOUT_SECONDS": "2"}


@pytest.fixture
def quick_fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    """Leases of submissions end after 17 seconds."""
    return make_fleet(env=QUICK)


def _freeze_pool(worker: WorkerProcess) -> None:
    for child in worker.children():
        os.kill(child.pid, signal.SIGSTOP)


def test_killed_before_the_intent(make_fleet: Callable[..., Fleet]) -> None:
    """A worker dies with the message in hand and nothing sent: another one makes the generation."""
    fleet = make_fleet(celeryconfig=SHORT_VISIBILITY)
    first = fleet.worker("-c", "1")
    _freeze_pool(first)
    result = generate(fleet, "a mule").apply_async(task_id="order")
    wait_until(lambda: fleet.redis.client.hlen("unacked"), what="the message to be reserved")
    assert fleet.ledger.queries.record("order") is None

    first.kill()
    fleet.worker()

    assert "succeeded" == result.get(timeout=60)["status"]
    assert_paid_once(fleet)


@pytest.mark.parametrize("kill", [WorkerProcess.kill, kill_pool], ids=["worker", "pool"])
def test_killed_between_the_intent_and_the_id(quick_fleet: Fleet, kill: Any) -> None:
    """The API made it and the worker died before it heard so: one create, and nobody knows."""
    fleet = quick_fleet
    fleet.emulator.faults(creates=[{"do": "hold_after", "contains": "lost", "count": 1}])
    first = fleet.worker("-c", "1")
    lost = generate(fleet, "a lost mule").set(task_id="lost")
    other = generate(fleet, "another mule").set(task_id="other")
    body = note(fleet, "body")
    result = fleet.chord([lost, other], body).delay()
    fleet.emulator.wait(held_creates=1)
    assert "submitting" == fleet.ledger.queries.record("lost").state

    kill(first)
    fleet.worker()

    outcomes = result.get(timeout=90)
    assert ["submit_unknown", "succeeded"] == [item["status"] for item in outcomes]
    assert_paid_once(fleet, 2)
    assert 1 == notes(fleet, "body")


def test_a_frozen_submitter_pays_once(make_told_fleet: Callable[..., Fleet]) -> None:
    """A worker sleeps beyond its lease while the API answers: nothing is sent again, the id is kept."""
    fleet = make_told_fleet(env=QUICK)
    fleet.emulator.faults(creates=[{"do": "hold_after", "count": 1}])
    first = fleet.worker("-c", "1")
    chain = generate(fleet, "a mule").set(task_id="slept") | note(fleet, "after")
    result = chain.delay()
    fleet.emulator.wait(held_creates=1)

    freeze(first)
    fleet.emulator.release("creates")
    fleet.worker()
    assert "submit_unknown" == result.get(timeout=60)["status"]
    thaw(first)

    remote_id = fleet.emulator.generations()[0]["remote_id"]
    look = lambda: fleet.ledger.queries.record("slept").late_remote_id  # noqa: E731
    assert remote_id == wait_until(look, what="the late id")
    wait_awake(fleet, first)
    assert_paid_once(fleet)
    assert 1 == notes(fleet, "after")


def test_redis_dies_amid_a_submission(make_told_fleet: Callable[..., Fleet]) -> None:
    """Redis is away when the API answers with an id: it is logged, kept, and recorded later."""
    fleet = make_told_fleet(persistent=True)
    fleet.emulator.faults(creates=[{"do": "hold", "count": 1}])
    worker = fleet.worker("-c", "1")
    chain = generate(fleet, "a mule").set(task_id="order") | note(fleet, "after")
    chain.delay()
    fleet.emulator.wait(held_creates=1)

    fleet.redis.kill()
    fleet.emulator.release("creates")
    fleet.emulator.wait(created=1)
    remote_id = fleet.emulator.generations()[0]["remote_id"]
    said = f"remote id {remote_id} is billed but not yet recorded"
    wait_until(lambda: said in worker.text, seconds=60, what="the id in the log")
    fleet.redis.start()

    record = fleet.wait_for_state("order", "delivered", seconds=90)
    assert ("succeeded", remote_id) == (record.status, record.remote_id)
    wait_until(lambda: notes(fleet, "after"), what="the chain to go on")
    assert_paid_once(fleet)
    assert 1 == notes(fleet, "after")
