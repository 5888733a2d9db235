"""Workers, their messages and Redis die while the API is at work."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from support.deaths import (
    assert_paid_once,
    freeze,
    generate,
    note,
    notes,
    thaw,
    wait_awake,
)
from support.fleet import Fleet
from support.waiting import wait_until
from support.workers import WorkerProcess

from mulequeue.ledger import outcome_of

NEVER = {"faults": {"lives": [{"end": "never"}]}}


def _finish_all(fleet: Fleet) -> None:
    for generation in fleet.emulator.generations():
        fleet.emulator.finish(generation["remote_id"])


def _holder(fleet: Fleet) -> WorkerProcess:
    """The worker that has the sleeping poll message in its memory."""

    def look() -> str | None:
        scheduled = fleet.app.control.inspect(timeout=2).scheduled() or {}
        names = [name for name, items in scheduled.items() if items]
        return names[0] if len(names) == 1 else None

    name = wait_until(look, what="a worker to hold the poll message")
    return next(worker for worker in fleet.workers if f"{worker.name}@test" == name)


def test_the_poll_message_dies_with_its_worker(make_fleet: Callable[..., Fleet]) -> None:
    """The worker that holds the poll message is killed: another one goes on polling."""
    fleet = make_fleet(emulator=NEVER)
    fleet.worker()
    fleet.worker()
    header = [generate(fleet, f"mule {number}", poll_interval=4) for number in range(3)]
    result = fleet.chord(header, note(fleet, "body")).delay()
    polls = fleet.emulator.wait(created=3, polls=3)["polls"]

    _holder(fleet).kill()
    killed = time.monotonic()
    fleet.emulator.wait(polls=polls + 3)
    print(f"seconds until all were polled again: {time.monotonic() - killed:.1f} (interval 4)")
    _finish_all(fleet)

    assert ["succeeded"] * 3 == [outcome["status"] for outcome in result.get(timeout=60)]
    assert_paid_once(fleet, 3)
    assert 1 == notes(fleet, "body")


def test_all_workers_die_while_generating(make_told_fleet: Callable[..., Fleet]) -> None:
    """Nobody is left; a worker that starts later takes up everything that is in flight."""
    fleet = make_told_fleet(emulator=NEVER)
    first = fleet.worker()
    header = [generate(fleet, f"mule {number}") for number in range(5)]
    result = fleet.chord(header, note(fleet, "body")).delay()
    fleet.emulator.wait(created=5, polls=5)
    wait_until(
        lambda: fleet.ledger.queries.counts()["generating"] == 5, what="all ids to be recorded"
    )

    first.kill()
    _finish_all(fleet)
    fleet.worker()

    assert ["succeeded"] * 5 == [outcome["status"] for outcome in result.get(timeout=60)]
    assert_paid_once(fleet, 5)
    assert 1 == notes(fleet, "body")


def test_the_broker_loses_its_queues(make_fleet: Callable[..., Fleet]) -> None:
    """Poll message and wakes are gone from the broker: the due times bring both back."""
    fleet = make_fleet(min_seconds=0.5, max_seconds=0.5)
    first = fleet.worker("-Q", "celery,mulequeue.poll")
    result = (generate(fleet, "a mule").set(task_id="order") | note(fleet, "after")).delay()
    fleet.wait_for_state("order", "settled")
    wait_until(lambda: fleet.redis.client.llen("mulequeue.wake"), what="the wake")

    first.kill()
    fleet.redis.client.delete("mulequeue.wake", "mulequeue.poll", "unacked", "unacked_index")
    fleet.worker()

    assert "succeeded" == result.get(timeout=90)["status"]
    assert_paid_once(fleet)
    assert 1 == notes(fleet, "after")


def test_redis_dies_while_generating(make_told_fleet: Callable[..., Fleet]) -> None:
    """Redis is killed and comes back with its append-only file: the same worker goes on polling."""
    fleet = make_told_fleet(persistent=True, emulator=NEVER)
    worker = fleet.worker()
    header = [generate(fleet, f"mule {number}") for number in range(5)]
    fleet.chord(header, note(fleet, "body")).delay()
    wait_until(lambda: fleet.ledger.queries.counts().get("generating") == 5, what="all ids")

    fleet.redis.kill()
    _finish_all(fleet)
    wait_until(lambda: "Trying to re-establish" in worker.text, what="the worker to notice")
    fleet.redis.start()

    wait_until(lambda: notes(fleet, "body"), seconds=90, what="the body")
    assert 5 == fleet.ledger.queries.counts()["succeeded"]
    assert_paid_once(fleet, 5)
    assert 1 == notes(fleet, "body")


def test_a_frozen_sweep_changes_nothing(make_told_fleet: Callable[..., Fleet]) -> None:
    """A sweep sleeps beyond its lease; another one settles, and what the first learned is void."""
    fleet = make_told_fleet(emulator=NEVER)
    fleet.emulator.faults(polls=[{"do": "hold", "count": 1}])
    first = fleet.worker()
    chain: Any = generate(fleet, "a mule").set(task_id="order") | note(fleet, "after")
    result = chain.delay()
    fleet.emulator.wait(held_polls=1)

    freeze(first)
    fleet.worker()
    fleet.emulator.wait(polls=2)
    _finish_all(fleet)
    assert "succeeded" == result.get(timeout=60)["status"]
    before = fleet.wait_for_state("order", "delivered")
    ends = fleet.emulator.stats()["ends"]

    # The answer "completed" arrives at the sweep that slept.
    fleet.emulator.release("polls")
    fleet.emulator.wait(ends=ends + 1)
    thaw(first)
    wait_awake(fleet, first)

    # Meanwhile the record may have been packed, without what only its delivery needed.
    assert outcome_of(before) == outcome_of(fleet.ledger.queries.record("order"))
    assert_paid_once(fleet)
    assert 1 == notes(fleet, "after")
