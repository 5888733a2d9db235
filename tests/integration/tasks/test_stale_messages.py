"""Wake messages that come too late, too often, or from nowhere."""

from __future__ import annotations

from pathlib import Path

from support.fleet import Fleet
from support.generations import Log, new_id, one, started

from mulequeue.engine.submit.park import EPOCH
from mulequeue.ledger import unpack

STALE = "nothing to do for this message: stale"
BUSY = "nothing to do for this message: busy"


def test_wake_without_a_record_creates_nothing(shared: Fleet) -> None:
    """A wake whose record is gone is dropped: only a user's own message may create one."""
    task_id, log = new_id(), Log(shared)

    one(shared, **{EPOCH: "an-epoch"}).apply_async(task_id=task_id)

    log.wait_for(STALE)
    assert shared.ledger.queries.record(task_id) is None
    assert 0 == shared.emulator.stats()["creates"]


def test_wake_of_another_epoch_changes_nothing(shared: Fleet) -> None:
    """A wake of an earlier life of the same id neither submits nor delivers."""
    shared.emulator.faults(lives=[{"end": "never"}])
    task_id, log = started(shared), Log(shared)

    one(shared, **{EPOCH: "an-epoch"}).apply_async(task_id=task_id)

    log.wait_for(STALE)
    assert "generating" == shared.ledger.queries.record(task_id).state
    assert 1 == shared.emulator.stats()["creates"]


def test_early_wake_changes_nothing(shared: Fleet) -> None:
    """A wake that arrives while the API still works on it is dropped."""
    shared.emulator.faults(lives=[{"end": "never"}])
    task_id, log = started(shared), Log(shared)

    parked(shared, task_id).apply_async()

    log.wait_for(BUSY)
    assert "generating" == shared.ledger.queries.record(task_id).state
    assert 1 == shared.emulator.stats()["creates"]


def test_repeated_wakes_deliver_once(shared: Fleet, tmp_path: Path) -> None:
    """Three wakes of one outcome start what follows once."""
    shared.emulator.faults(lives=[{"end": "never"}])
    notes = tmp_path / "notes"
    chain = one(shared) | shared.task("user.note", path=str(notes))
    result = chain.delay()
    task_id = result.parent.id
    record = shared.wait_for_state(task_id, "generating")
    wake, log = parked(shared, task_id), Log(shared)

    shared.emulator.finish(record.remote_id)
    shared.wait_for_state(task_id, "settled", "delivering", "delivered")
    wake.apply_async()
    wake.apply_async()
    result.get(timeout=30)

    log.wait_for("nothing to do for this message: ", times=2)
    assert "ran\n" == notes.read_text()
    assert 1 == shared.ledger.queries.record(task_id).deliveries


def parked(fleet: Fleet, task_id: str):
    """The signature that wakes a task."""
    blob = fleet.redis.client.get(f"{fleet.ledger.prefix}parked:{task_id}")
    return fleet.app.signature(unpack(blob))
