"""The lease of a download or notification: while it runs, and between its attempts."""

from __future__ import annotations

import pytest
from support.ledger_world import World

from mulequeue.ledger import unpack

SIGNATURE = {"task": "mulequeue.download", "args": [], "kwargs": {}, "options": {"task_id": "d"}}


def begin(world: World, run: str) -> tuple[str, int, float]:
    return world.ledger.begin_transfer("d", run, SIGNATURE)


def test_one_run_at_a_time(world: World) -> None:
    """While a run holds the lease every other message is busy, and repeated it is the same run."""
    assert ("run", 1, 0.0) == begin(world, "first")

    assert "busy" == begin(world, "second")[0]
    assert ("run", 1, 0.0) == begin(world, "first")


def test_a_heartbeat_keeps_the_lease(world: World) -> None:
    """A long transfer stays with its run as long as it says so every few seconds."""
    begin(world, "first")

    for _ in range(5):
        world.clock += 15
        assert world.ledger.keep_transfer("d", "first")
        assert [] == world.claim().wakes
    assert "busy" == begin(world, "second")[0]


def test_a_dead_worker_s_transfer_is_woken(world: World) -> None:
    """Twenty seconds after the last heartbeat the transfer's own message is sent again."""
    begin(world, "first")

    assert [] == world.claim(19.9).wakes
    (wake,) = world.claim(0.2).wakes

    assert ("d", SIGNATURE) == (wake.task_id, unpack(wake.signature))
    what, attempts, elapsed = begin(world, "second")
    assert ("run", 2) == (what, attempts)
    assert 20.1 == pytest.approx(elapsed)
    assert not world.ledger.keep_transfer("d", "first")
    assert not world.ledger.end_transfer("d", "first", {}, ttl_seconds=60)


def test_a_slow_run_may_end_what_nobody_else_began(world: World) -> None:
    """A run whose lease lapsed ends its transfer as long as no other run has taken it up."""
    begin(world, "first")
    world.claim(25)

    assert world.ledger.end_transfer("d", "first", {"error": None}, ttl_seconds=60)

    assert "done" == begin(world, "second")[0]
    assert world.due("transfer:d") is None


def test_a_slow_run_may_take_its_lease_back(world: World) -> None:
    """A heartbeat that comes too late holds off the run that was woken but has not begun."""
    begin(world, "first")
    world.claim(25)

    assert world.ledger.keep_transfer("d", "first")

    assert "busy" == begin(world, "second")[0]


def test_between_attempts_nobody_holds_it(world: World) -> None:
    """A failed attempt is woken when its time has come, and counts on."""
    begin(world, "first")
    assert world.clock + 300 == world.ledger.retry_transfer("d", "first", 300)
    assert not world.ledger.keep_transfer("d", "first")

    assert [] == world.claim(299).wakes
    assert 1 == len(world.claim(2).wakes)
    assert ("run", 2) == begin(world, "second")[:2]


def test_an_unanswered_wake_is_repeated_ever_more_rarely(world: World) -> None:
    """A transfer that nobody takes up is woken after 30, 60 … seconds, and from anew once it ran."""
    begin(world, "first")
    world.claim(21)

    waits = []
    for _ in range(3):
        waits.append(world.due("transfer:d"))
        world.claim(waits[-1])
    begin(world, "second")
    world.claim(21)

    assert [30, 60, 120] == pytest.approx(waits)
    assert 30 == pytest.approx(world.due("transfer:d"))


def test_done_is_done(world: World) -> None:
    """After its end a transfer is in no index, holds no memory but its result, and runs no more."""
    begin(world, "first")
    assert world.ledger.end_transfer("d", "first", {"error": "x"}, ttl_seconds=60)

    assert ("done", 0, 0.0) == begin(world, "second")
    assert {"error": "x"} == world.ledger.transfer_result("d")
    assert [world.key("done:d").encode()] == list(world.redis.scan_iter("*"))
    assert 0 < world.redis.ttl(world.key("done:d")) <= 60


def test_a_repeated_end_changes_nothing(world: World) -> None:
    """An end whose answer was lost is not written a second time."""
    begin(world, "first")
    world.ledger.end_transfer("d", "first", {}, ttl_seconds=60)
    before = world.ledger.transfer_result("d")

    assert not world.ledger.end_transfer("d", "first", {"other": 1}, ttl_seconds=60)
    assert before == world.ledger.transfer_result("d")
