"""Limits as a user meets them: a worker, a batch, the program."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from support.fleet import Fleet
from support.generations import MODEL, one
from support.program import program_in
from support.waiting import wait_until

from mulequeue.errors import GenerationFailed
from mulequeue.tasks.canvases import generate_many
from mulequeue.tasks.control import pause, unpause

PICTURES = [{"prompt": f"mule {number}"} for number in range(6)]


def test_the_days_budget_is_told_as_any_failure(make_fleet: Callable[..., Fleet]) -> None:
    """The third of two fails with BudgetExceeded; two creates reached the API."""
    fleet = make_fleet(env={"MULEQUEUE_MAX_PER_DAY": "2"}, min_seconds=0.0, max_seconds=0.1)
    fleet.worker("-P", "threads", "-c", "2")
    for _ in range(2):
        one(fleet).apply_async().get(timeout=30)

    with pytest.raises(GenerationFailed, match="max_per_day") as caught:
        one(fleet).apply_async().get(timeout=30)

    assert "BudgetExceeded" == caught.value.reason
    assert 2 == fleet.emulator.stats()["creates"]
    said = program_in(fleet)("doctor", "--json").stdout
    levels = {item["id"]: item["level"] for item in json.loads(said)["findings"]}
    assert "warning" == levels["budget"]
    assert "2 of 2 today" in program_in(fleet)("status").stdout


def test_the_days_limit_in_dollars_is_shown_and_holds(make_fleet: Callable[..., Fleet]) -> None:
    """The third of two fails and names the limit; a model without a price fails with the line for one."""
    settings = f"""
mulequeue_max_usd_per_day = 0.1
mulequeue_prices = {{{MODEL!r}: {{"unit": "image", "usd": 0.05}}}}
mulequeue_defaults = {{{MODEL!r}: {{"n": 1}}}}
"""
    fleet = make_fleet(celeryconfig=settings, min_seconds=0.0, max_seconds=0.1)
    fleet.worker("-P", "threads", "-c", "2")
    for _ in range(2):
        one(fleet).apply_async().get(timeout=30)

    with pytest.raises(GenerationFailed, match="max_usd_per_day") as caught:
        one(fleet).apply_async().get(timeout=30)
    assert "BudgetExceeded" == caught.value.reason
    unpriced = fleet.task("mulequeue.generate", "alibaba/wan2.5-t2i-preview", {"prompt": "a"})
    with pytest.raises(
        GenerationFailed, match=r'mulequeue_prices = \{"alibaba/wan2.5-t2i-preview"'
    ):
        unpriced.apply_async().get(timeout=30)

    assert 2 == fleet.emulator.stats()["creates"]
    said = program_in(fleet)("doctor", "--json").stdout
    [budget] = [item for item in json.loads(said)["findings"] if item["id"] == "budget"]
    assert "0.10 USD of 0.10 USD (estimate)" in budget["text"]
    assert "0.10 USD of 0.10 USD today (estimate)" in program_in(fleet)("status").stdout


def test_a_batch_expires_while_members_wait(make_fleet: Callable[..., Fleet]) -> None:
    """What was not sent by then fails, unpaid, with the reason of its wait; what was sent goes on."""
    never = {"faults": {"lives": [{"end": "never"}]}}
    fleet = make_fleet(env={"MULEQUEUE_MAX_IN_FLIGHT": "1"}, emulator=never)
    fleet.worker("-P", "threads", "-c", "2")
    batch = generate_many(MODEL, PICTURES[:2], batch_id="b", download=False, poll_interval=0.1)

    result = batch.apply_async(expires=5)

    fleet.emulator.wait(created=1)
    wait_until(lambda: fleet.ledger.queries.batch("b").over, what="the other one to expire")
    (generation,) = fleet.emulator.generations()
    fleet.emulator.finish(generation["remote_id"])
    expired, done = sorted(result.get(timeout=60), key=lambda member: str(member["status"]))
    assert ("failed", "succeeded") == (expired["status"], done["status"])
    error = fleet.ledger.queries.record(expired["task_id"]).answer["error"]
    assert ("Expired", "The limits of its profile or model are reached") == (
        error["type"],
        error["detail"],
    )
    assert 1 == fleet.emulator.stats()["creates"]


def test_a_batch_that_is_too_large_is_refused_by_the_program(fleet: Fleet) -> None:
    """Exit code 1, and nothing is enqueued."""
    fleet.env["MULEQUEUE_MAX_PER_BATCH"] = "1"
    (fleet.folder / "p.txt").write_text("a\nb\n")

    for more in ([], ["--local"]):
        done = program_in(fleet)("batch", "p.txt", *more)
        assert 1 == done.returncode
        assert "A batch of 2 is larger than max_per_batch" in done.stderr
    assert 0 == fleet.emulator.stats()["creates"]


def test_a_pause_by_hand_stops_the_whole_fleet(shared: Fleet) -> None:
    """Nothing is submitted until it is over; what runs comes to its end meanwhile."""
    shared.emulator.faults(lives=[{"contains": "first", "end": "never"}, {"seconds": 0}])
    first = one(shared, "first").apply_async()
    shared.wait_for_state(first.id, "generating")

    said = program_in(shared)("pause", "--json")
    assert {"profile": "default", "paused": True, "changed": True} == json.loads(said.stdout)
    batch = generate_many(MODEL, PICTURES, batch_id="held", download=False, poll_interval=0.1)
    result = batch.apply_async()
    wait_until(
        lambda: shared.ledger.queries.counts().get("waiting") == len(PICTURES), what="all to wait"
    )
    [generation] = shared.emulator.generations()
    shared.emulator.finish(generation["remote_id"])
    assert "succeeded" == first.get(timeout=30)["status"]

    assert 1 == shared.emulator.stats()["creates"]
    assert "paused by hand since" in program_in(shared)("status").stdout
    status = json.loads(program_in(shared)("status", "--json").stdout)
    assert status["profiles"][0]["paused_since"] is not None
    doctor = json.loads(program_in(shared)("doctor", "--json").stdout)
    [finding] = [item for item in doctor["findings"] if item["id"] == "paused"]
    assert "mulequeue unpause --profile default" in finding["fix"]
    said = program_in(shared)("unpause")
    assert "are resumed" in said.stdout

    assert 6 == len(result.get(timeout=30))
    assert 7 == shared.emulator.stats()["creates"]


def test_pausing_from_python(shared: Fleet) -> None:
    """The functions tell whether it was new; a misspelled profile is refused."""
    assert (True, False) == (pause(app=shared.app), pause(app=shared.app))
    assert (True, False) == (unpause(app=shared.app), unpause(app=shared.app))
    done = program_in(shared)("pause", "--profile", "defualt")
    assert 1 == done.returncode
    assert "Did you mean default" in done.stderr
