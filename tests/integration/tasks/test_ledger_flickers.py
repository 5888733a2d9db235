"""The ledger's Redis is away for the instant of one call, wherever that call is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.fleet import Fleet
from support.generations import MODEL, QUICK, one
from support.waiting import wait_until

from mulequeue.tasks.canvases import generate_many

# The next call of a method fails, once per file that names it.
FLICKER = """
import pathlib
from redis.exceptions import ConnectionError
from mulequeue.ledger.generations import Generations
from mulequeue.ledger.leases import Leases

def flicker(cls, name):
    real = getattr(cls, name)

    def call(self, *args, **options):
        try:
            pathlib.Path(f"away-{name}").unlink()
        except FileNotFoundError:
            return real(self, *args, **options)
        raise ConnectionError("gone for an instant")

    setattr(cls, name, call)

for name in ("begin_delivery", "record_id", "record_files", "record_dispatch", "end_delivery"):
    flicker(Generations, name)
for name in ("begin", "wait", "expect_all", "end"):
    flicker(Leases, name)
"""


# What a worker does after the ledger has parked a task fails.
BROKEN_PARKING = """
from mulequeue.engine.worker_context import WorkerContext
real = WorkerContext.carry_out

def carry_out(self, effects):
    if effects.poll_by is not None and not effects.wakes and self.ledger.queries.counts().get("waiting"):
        raise RuntimeError("broken")
    return real(self, effects)

WorkerContext.carry_out = carry_out
"""


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    fleet = make_fleet(celeryconfig=FLICKER)
    fleet.worker(*QUICK)
    return fleet


def flag(fleet: Fleet, name: str) -> Path:
    return fleet.folder / f"away-{name}"


@pytest.mark.parametrize("name", ["begin_delivery", "record_id", "record_dispatch", "end_delivery"])
def test_a_generation_does_not_fail(fleet: Fleet, name: str) -> None:
    """No error leaves a delivery that the ledger may have recorded; what follows runs once."""
    flag(fleet, name).touch()
    noted = fleet.folder / "noted"

    result = (one(fleet).set(task_id="a") | fleet.task("user.note", path=str(noted))).delay()

    assert "succeeded" == result.get(timeout=60)["status"]
    fleet.wait_for_state("a", "delivered")
    assert not flag(fleet, name).exists()
    assert "SUCCESS" == fleet.app.AsyncResult("a").state
    assert "ran\n" == noted.read_text()
    assert 1 == fleet.emulator.stats()["creates"]
    assert "on_success handler raised" not in fleet.logs


def test_a_waiting_generation_does_not_fail(make_fleet: Callable[..., Fleet]) -> None:
    """An error after the ledger has parked a task ends its delivery, not the task."""
    fleet = make_fleet(celeryconfig=BROKEN_PARKING, env={"MULEQUEUE_MAX_IN_FLIGHT": "1"})
    fleet.worker(*QUICK)
    header = [one(fleet, name, on_failure="return").set(task_id=name) for name in ("a", "b", "c")]

    body = fleet.chord(header, fleet.task("user.collect")).delay()

    assert ["succeeded"] * 3 == [outcome["status"] for outcome in body.get(timeout=60)]
    assert "a submission failed unexpectedly" in fleet.logs
    assert 3 == fleet.emulator.stats()["creates"]


@pytest.mark.parametrize("name", ["begin", "wait", "expect_all", "end", "record_files"])
def test_a_batch_does_not_fail(fleet: Fleet, name: str) -> None:
    """Publishing, waiting, and the loss of a file are repeated; the lost file stays a value."""
    fleet.emulator.faults(downloads=[{"contains": "gone", "do": "status", "status": 404}])
    flag(fleet, name).touch()
    inputs = [{"prompt": prompt, "n": 1} for prompt in ("a", "gone")]

    result = generate_many(MODEL, inputs, batch_id="b", poll_interval=0.2).delay()

    members = result.get(timeout=90)
    assert ["succeeded"] * 2 == [member["status"] for member in members]
    assert [False, True] == ["error" in member for member in members]
    wait_until(lambda: not flag(fleet, name).exists(), what="the call")
    assert 2 == fleet.emulator.stats()["creates"]
