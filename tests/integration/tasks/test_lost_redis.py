"""A paid id whose ledger is away."""

from __future__ import annotations

from collections.abc import Callable

from support.fleet import Fleet
from support.generations import QUICK, Log, new_id, one

from mulequeue.ledger import outcome_of


def test_paid_id_is_recorded_when_redis_is_back(make_fleet: Callable[..., Fleet]) -> None:
    """An id that arrives while Redis is away is logged, kept trying, and recorded."""
    fleet = make_fleet(persistent=True)
    fleet.worker(*QUICK)
    fleet.emulator.faults(creates=[{"do": "hold_after", "count": 1}])
    task_id, log = new_id(), Log(fleet)
    one(fleet).apply_async(task_id=task_id)
    fleet.emulator.wait(held_creates=1)
    [generation] = fleet.emulator.generations()

    fleet.redis.kill()
    fleet.emulator.release()
    log.wait_for(f"remote id {generation['remote_id']} is billed but not yet recorded")
    assert "CRITICAL" in log.text
    fleet.redis.start()
    log.wait_for("generation submitted")
    # A worker's main process that lost a Redis broker may end; somebody restarts it.
    fleet.worker(*QUICK)

    outcome = outcome_of(fleet.wait_for_state(task_id, "delivered", seconds=60))
    assert ("succeeded", generation["remote_id"]) == (outcome.status, outcome.remote_id)
    assert 1 == fleet.emulator.stats()["creates"]
