"""Workers of one fleet that lack what submissions need: the others do the work."""

from __future__ import annotations

import json
from collections.abc import Callable

from support.fleet import KEY, Fleet
from support.generations import QUICK, Log, new_id, one
from support.program import program_in
from support.waiting import wait_until


def outcomes(fleet: Fleet, count: int) -> list[str]:
    """The statuses of so many generations that are enqueued at once."""
    results = [one(fleet).delay() for _ in range(count)]
    return [result.get(timeout=180)["status"] for result in results]


def test_a_worker_without_a_key_leaves_submissions_to_the_other(fleet: Fleet) -> None:
    """Nothing fails on account of the worker that has no key, and its log and the status tell of it."""
    fleet.worker(*QUICK)
    fleet.env["MULEROUTER_API_KEY"] = ""
    keyless, log = fleet.worker(*QUICK), Log(fleet)

    assert ["succeeded"] * 20 == outcomes(fleet, 20)

    assert 20 == fleet.emulator.stats()["creates"]
    assert "leaves submissions of profile default to other workers: No API key" in log.text
    assert f"{keyless.name}" in log.text


def test_a_fleet_without_a_key_waits_for_a_worker_with_one(fleet: Fleet) -> None:
    """The status, the doctor and the progress give the reason; a worker with the key goes on at once."""
    fleet.env["MULEROUTER_API_KEY"] = ""
    fleet.worker(*QUICK)
    task_id = new_id()
    result = one(fleet).apply_async(task_id=task_id)
    fleet.wait_for_state(task_id, "waiting")

    assert "paused: No API key" in program_in(fleet)("status").stdout
    findings = json.loads(program_in(fleet)("doctor", "--json").stdout)["findings"]
    assert any(it["id"] == "refused" and "No API key" in it["text"] for it in findings)
    assert [] == fleet.emulator.creates()

    fleet.env["MULEROUTER_API_KEY"] = KEY
    fleet.worker(*QUICK)
    assert "succeeded" == result.get(timeout=60)["status"]


def test_a_worker_without_a_connection_leaves_submissions_to_the_other(
    make_fleet: Callable[..., Fleet],
) -> None:
    """A CA bundle that is not there keeps one worker from submitting, and pauses no other one."""
    fleet = make_fleet()
    fleet.worker(*QUICK)
    fleet.env["REQUESTS_CA_BUNDLE"] = "/nowhere/ca.pem"
    fleet.worker(*QUICK, "-Q", "celery,mulequeue.wake")  # status checks are another matter
    log = Log(fleet)

    assert ["succeeded"] * 20 == outcomes(fleet, 20)

    assert 20 == fleet.emulator.stats()["creates"]
    assert "REQUESTS_CA_BUNDLE names '/nowhere/ca.pem'" in log.text
    assert "(on this worker; other workers continue)" in log.text


def test_a_replaced_key_goes_on_with_what_waits(fleet: Fleet) -> None:
    """What a rejected key left waiting is submitted with the new one, without a setting for the old one."""
    fleet.emulator.faults(require_key=KEY)
    fleet.env["MULEROUTER_API_KEY"] = "sk-mr-" + "f" * 64
    wrong = fleet.worker(*QUICK)
    results = [one(fleet).delay() for _ in range(5)]
    wait_until(lambda: fleet.ledger.queries.counts().get("waiting") == 5, what="all to wait")
    wrong.stop()
    rejected = fleet.emulator.stats()["creates"]

    fleet.env["MULEROUTER_API_KEY"] = KEY
    fleet.worker(*QUICK)

    assert ["succeeded"] * 5 == [result.get(timeout=180)["status"] for result in results]
    assert 5 == fleet.emulator.stats()["created"]
    assert rejected <= 2
