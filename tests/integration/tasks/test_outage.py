"""An API that is down for longer than max_wait."""

from __future__ import annotations

import time

import pytest
from support.fleet import Fleet
from support.generations import QUICK, new_id, one
from support.waiting import wait_until

from mulequeue.errors import GenerationTimedOut


def test_outage_times_nothing_out(fleet: Fleet) -> None:
    """While the API is down nothing times out; afterwards only what is still active does."""
    fleet.worker(*QUICK)
    fleet.emulator.faults(
        lives=[{"contains": "endless", "end": "never"}, {"seconds": 0.5}],
        polls=[{"do": "status", "status": 503}],
    )
    done, endless = (
        one(fleet, prompt, max_wait=1.0).apply_async(task_id=new_id())
        for prompt in ("done", "endless")
    )
    records = [fleet.wait_for_state(result.id, "generating") for result in (done, endless)]
    deadline = max(record.deadline for record in records)
    wait_until(lambda: fleet.ledger.queries.now() > deadline, what="the deadline")
    polls = fleet.emulator.stats()["polls"]
    fleet.emulator.wait(polls=polls + 2)  # both were checked in vain after their deadline

    states = [fleet.ledger.queries.record(result.id).state for result in (done, endless)]
    assert ["generating"] * 2 == states
    fleet.emulator.reset_faults()

    assert "succeeded" == done.get(timeout=30)["status"]
    with pytest.raises(GenerationTimedOut):
        endless.get(timeout=30)


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "status", "status": 401},
        {"do": "status", "status": 404},
        {"do": "status", "status": 425},
        {"do": "drop"},
        {"do": "edge_block"},
        {"do": "not_json"},
    ],
    ids=lambda fault: str(fault.get("status", fault["do"])),
)
def test_failed_check_fails_nothing(shared: Fleet, fault: dict) -> None:
    """Whatever one status check comes to, the generation is checked again and succeeds."""
    shared.emulator.faults(polls=[{**fault, "count": 1}])

    outcome = one(shared).delay().get(timeout=30)

    assert "succeeded" == outcome["status"]
    assert 1 == shared.emulator.stats()["creates"]


def test_unknown_id_is_final_after_the_grace_period(make_fleet) -> None:
    """An id the API does not know any more fails, but only after the grace period."""
    fleet = make_fleet(env={"MULEQUEUE_NOT_FOUND_GRACE_SECONDS": "2"})
    fleet.worker(*QUICK)
    fleet.emulator.faults(lives=[{"end": "never", "vanish_after_seconds": 0.0}])
    began = time.monotonic()

    outcome = one(fleet, on_failure="return").delay().get(timeout=30)

    assert "failed" == outcome["status"]
    assert 404 == outcome["error"]["status_code"]
    assert time.monotonic() - began > 2
