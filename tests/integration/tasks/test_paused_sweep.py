"""A sweep that is paused and comes back late."""

from __future__ import annotations

from pathlib import Path

from support.fleet import Fleet
from support.generations import Log, new_id, one
from support.waiting import wait_until


def test_paused_sweep_changes_nothing(fleet: Fleet, tmp_path: Path) -> None:
    """A sweep that is stopped during a check, overtaken, and continued, writes nothing."""
    says_all = ("-l", "DEBUG")  # also of the poll loop
    paused = fleet.worker("-Q", "mulequeue.poll", "-c", "1", *says_all, wait=False)
    fleet.worker("-Q", "celery,mulequeue.wake", "--without-mingle").wait_ready()
    paused.wait_ready()
    fleet.emulator.faults(lives=[{"end": "never"}], polls=[{"do": "hold", "count": 1}])
    notes = tmp_path / "notes"
    result = (one(fleet) | fleet.task("user.note", path=str(notes))).apply_async(task_id=new_id())
    task_id = result.parent.id
    fleet.emulator.wait(held_polls=1)
    [sweeping] = paused.children()
    sweeping.suspend()
    log = Log(fleet)
    [generation] = fleet.emulator.generations()
    fleet.emulator.finish(generation["remote_id"])
    fleet.emulator.release()

    fleet.worker("-Q", "mulequeue.poll", "-c", "1", "--without-mingle")
    result.get(timeout=60)
    key = f"{fleet.ledger.prefix}record:{task_id}"
    wait_until(lambda: fleet.redis.client.hexists(key, "0"), what="its record to be packed")
    before = fleet.ledger.queries.record(task_id)
    ended = paused.text.count("succeeded in")
    sweeping.resume()
    wait_until(lambda: paused.text.count("succeeded in") > ended, what="the paused sweep's end")

    assert before == fleet.ledger.queries.record(task_id)
    assert fleet.redis.client.zscore(f"{fleet.ledger.prefix}due", task_id) is None
    assert "ran\n" == notes.read_text()
    assert 1 == log.text.count("generation finished")
