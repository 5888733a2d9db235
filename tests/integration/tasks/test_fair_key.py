"""Fair keys as a user meets them: where they are refused, who is submitted when, and what shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from support.fleet import Fleet
from support.generations import MODEL, new_id, one
from support.program import program_in
from support.waiting import wait_until

import mulequeue
from mulequeue.errors import InputError
from mulequeue.tasks.control import pause, unpause

GOOD = {"prompt": "a mule", "n": 1}
BAD_KEY = "a\nb"


@pytest.mark.parametrize(
    "call",
    [
        lambda: mulequeue.generate.s(MODEL, GOOD, fair_key=BAD_KEY),
        lambda: mulequeue.generate.delay(MODEL, GOOD, fair_key=BAD_KEY),
        lambda: mulequeue.generate.apply_async((MODEL, GOOD), {"fair_key": 7}),
        lambda: mulequeue.generate_from.s(MODEL, GOOD, fair_key=BAD_KEY),
        lambda: mulequeue.generate_many(MODEL, [GOOD], fair_key=BAD_KEY),
    ],
)
def test_a_bad_key_is_refused_where_it_is_called(shared: Fleet, call: Callable[[], Any]) -> None:
    """In the calling process, and nothing is sent."""
    with pytest.raises(InputError, match="fair_key"):
        call()

    assert 0 == shared.emulator.stats()["creates"]


@pytest.mark.parametrize("name", ["generate", "generate_many"])
def test_a_bad_key_by_name_costs_nothing(shared: Fleet, name: str) -> None:
    """A call by task name is refused by the worker."""
    given = [GOOD] if name == "generate_many" else GOOD
    sent = shared.app.send_task(f"mulequeue.{name}", (MODEL, given), {"fair_key": BAD_KEY})

    with pytest.raises(Exception, match="fair_key"):
        sent.get(timeout=30)

    assert 0 == shared.emulator.stats()["creates"]


def test_customers_take_turns(make_fleet: Callable[..., Fleet]) -> None:
    """One with three batches and one with one batch are submitted in turn, with one in flight."""
    fleet = make_fleet(env={"MULEQUEUE_MAX_IN_FLIGHT": "1"}, min_seconds=0.0, max_seconds=0.1)
    fleet.worker("-P", "threads", "-c", "4")
    pause("default", app=fleet.app)
    for batch, customer in (("a1", "A"), ("a2", "A"), ("a3", "A"), ("b1", "B")):
        inputs = [{"prompt": f"{customer} {batch} {index}"} for index in range(3)]
        options = {"batch_id": batch, "fair_key": customer, "poll_interval": 0.1}
        mulequeue.generate_many(MODEL, inputs, download=False, **options).delay()
    wait_until(lambda: fleet.ledger.queries.counts().get("waiting") == 12, what="all to wait")

    unpause("default", app=fleet.app)

    fleet.emulator.wait(created=12)
    sent = [create["body"]["prompt"] for create in fleet.emulator.creates()]
    assert all(left[0] != right[0] for left, right in pairwise(sent[:6]))
    assert {"a1", "a2", "a3"} == {prompt.split()[1] for prompt in sent[:6] if prompt[0] == "A"}


def test_the_key_stays_with_the_generation(shared: Fleet) -> None:
    """While it waits, when its record is packed, and after a retry of what failed unpaid."""
    shared.emulator.faults(creates=[{"contains": "bad", "do": "status", "status": 422, "count": 1}])
    fine, retried = new_id(), new_id()
    call = {"on_failure": "return", "fair_key": "customer 7"}
    for task_id, prompt in ((fine, "a mule"), (retried, "a bad mule")):
        one(shared, prompt, **call).apply_async(task_id=task_id).get(timeout=30)

    mulequeue.retry(retried, app=shared.app)

    for task_id in (fine, retried):
        shared.wait_for_state(task_id, "delivered")
        record = shared.ledger.queries.record(task_id)
        assert record is not None
        assert ("succeeded", "customer 7") == (record.status, record.fair_key)
        shown = program_in(shared)("status", task_id, "--json")
        assert "customer 7" == json.loads(shown.stdout)["fair_key"]
        assert "fair key   customer 7" in program_in(shared)("status", task_id).stdout
    assert all("fair_key" not in create["body"] for create in shared.emulator.creates())


def test_the_program_takes_a_key(fleet: Fleet) -> None:
    """run and batch pass it on; a bad one, and one without workers, ends with exit code 1."""
    fleet.worker("-P", "threads", "-c", "4")
    cli = program_in(fleet)
    given = ("--param", "n=1", "--fair-key", "acme")

    done = [cli("run", MODEL, "a", *given), cli("batch", "-", *given, stdin="b\nc\n")]

    assert [0, 0] == [it.returncode for it in done], done
    assert ["acme"] * 3 == [it["fair_key"] for it in json.loads(cli("list", "--json").stdout)]
    for more, text in (
        (("--fair-key", ""), "fair_key is ''"),
        (("--fair-key", "x" * 65), "1 to 64 bytes"),
        (("--fair-key", "acme", "--local"), "--fair-key needs workers"),
    ):
        for command in (("run", MODEL, "a"), ("batch", "-")):
            refused = cli(*command, "--param", "n=1", *more, stdin="b\n")
            assert (1, True) == (refused.returncode, text in refused.stderr), refused.stderr
    assert 3 == fleet.emulator.stats()["creates"]


def test_a_key_at_its_limit_waits_and_is_shown(make_fleet: Callable[..., Fleet]) -> None:
    """The next one of the key is submitted when the first one ends; others are not held up."""
    never = {"faults": {"lives": [{"end": "never"}]}}
    fleet = make_fleet(env={"MULEQUEUE_MAX_IN_FLIGHT_PER_FAIR_KEY": "1"}, emulator=never)
    fleet.worker("-P", "threads", "-c", "4")
    ids = [new_id() for _ in range(3)]
    for task_id, key in zip(ids, ("A", "A", "B"), strict=True):
        one(fleet, task_id, fair_key=key).apply_async(task_id=task_id)
        fleet.wait_for_state(task_id, "waiting" if task_id == ids[1] else "generating")

    shown = program_in(fleet)("status").stdout

    assert "2 of 2 fair keys at max_in_flight_per_fair_key" in shown
    [profile] = json.loads(program_in(fleet)("status", "--json").stdout)["profiles"]
    assert (2, 2) == (profile["fair_keys_in_flight"], profile["fair_keys_at_limit"])
    [first] = [it for it in fleet.emulator.generations() if it["prompt"] == ids[0]]
    fleet.emulator.finish(first["remote_id"])
    fleet.wait_for_state(ids[1], "generating")
