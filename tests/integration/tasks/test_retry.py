"""``retry``: what was refused unpaid runs again, and what was billed only when asked for by name."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from support.fleet import Fleet
from support.generations import MODEL, new_id, one
from support.raw_server import RawServer
from support.waiting import wait_until

from mulequeue import InputError, retry
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import GenerationError
from mulequeue.tasks.batch_ids import member_id
from mulequeue.tasks.canvases import generate_many
from mulequeue.tasks.retry import prepare

REFUSED = {"creates": [{"do": "status", "status": 422, "contains": "bad"}]}
LOST = {"creates": [{"do": "drop_after", "contains": "bad"}]}
FAILED = {"lives": [{"contains": "bad", "end": "failed"}]}


def succeeded(fleet: Fleet, task_id: str) -> object:
    """The result of a task that had failed; an ``AsyncResult`` keeps the end that it has seen."""
    wait_until(lambda: fleet.app.AsyncResult(task_id).state == "SUCCESS", seconds=60, what=task_id)
    return fleet.app.AsyncResult(task_id).result


def returned(fleet: Fleet, task_id: str) -> None:
    fleet.wait_for_state(task_id, "delivered", seconds=60)


def stored(fleet: Fleet, task_id: str) -> Any:
    """The result as it is now: Celery publishes what follows a task before it stores the task's result."""
    return fleet.app.AsyncResult(task_id).get(timeout=60)


def failed_chain(fleet: Fleet, **call: object):
    """The result of ``generate | download`` whose generation was refused."""
    task_id, files_id = new_id(), new_id("files")
    first = one(fleet, "bad", **call).set(task_id=task_id)
    chain = first | fleet.task("mulequeue.download").set(task_id=files_id)
    result = chain.apply_async()
    returned(fleet, task_id)
    return task_id, result


def test_a_refused_generation_runs_again_and_its_chain_goes_on(shared: Fleet) -> None:
    """The results that the caller holds end with the file: same ids, one create that was accepted."""
    shared.emulator.faults(**REFUSED)
    task_id, result = failed_chain(shared)
    with pytest.raises(GenerationError):
        result.get(timeout=60)
    shared.emulator.reset()

    done = retry(task_id)

    assert ((task_id,), (), ()) == (done.unpaid, done.paid, done.in_chord)
    assert 1 == len(succeeded(shared, result.id)["files"])
    assert "succeeded" == succeeded(shared, task_id)["status"]
    assert 1 == shared.emulator.stats()["created"]


def test_what_follows_a_failure_that_was_returned_runs_again(shared: Fleet) -> None:
    """With on_failure="return" the next task had run: it runs once more, under another id."""
    shared.emulator.faults(**REFUSED)
    task_id, result = failed_chain(shared, on_failure="return")
    assert "failed" == result.get(timeout=60)["status"]
    shared.emulator.reset()

    retry(task_id)
    returned(shared, task_id)

    again = shared.app.AsyncResult(f"{result.id}-again-1").get(timeout=60)
    assert ("succeeded", 1) == (again["status"], len(again["files"]))
    wait_until(lambda: "succeeded" == stored(shared, task_id)["status"], what="its own result")


def test_a_batch_ends_again_with_the_files_of_what_was_retried(
    shared: Fleet, receiver: RawServer
) -> None:
    """Its counts, its result and its notification are those of the whole batch."""
    shared.emulator.faults(**REFUSED)
    inputs = [{"prompt": prompt} for prompt in ("one", "bad", "bad too")]
    batch_id = new_id("batch")
    batch = generate_many(MODEL, inputs, batch_id=batch_id, notify=receiver.url, poll_interval=0.1)
    result = batch.delay()
    assert ["succeeded", "failed", "failed"] == [it["status"] for it in result.get(timeout=60)]
    shared.emulator.faults(creates=[])

    done = retry(batch_id)

    bad = (member_id(batch_id, 1), member_id(batch_id, 2))
    assert (bad, {member_id(batch_id, 0): "it succeeded"}) == (done.unpaid, done.left)
    last = f"{result.id}-again-1"
    members = shared.app.AsyncResult(last).get(timeout=60)
    assert [("succeeded", 1)] * 3 == [(it["status"], len(it["files"])) for it in members]
    counts = shared.ledger.queries.batch(batch_id).counts
    assert (3, 0, 3) == (counts["succeeded"], counts["failed"], counts["downloaded"])
    wait_until(lambda: members == stored(shared, result.parent.id), what="the batch's own result")
    wait_until(lambda: 2 == len(receiver.requests), what="both notifications")
    assert 3 == shared.emulator.stats()["created"]


def test_what_was_paid_and_failed_is_retried_by_name(shared: Fleet) -> None:
    """Without ``failed`` nothing changes; with it, one more create request is sent."""
    shared.emulator.faults(**FAILED)
    task_id, _ = failed_chain(shared)
    first = shared.ledger.queries.record(task_id).remote_id
    for name in (task_id, first):
        with pytest.raises(InputError, match=f"{name} is not retried: it was accepted and may"):
            retry(name)
    shared.emulator.reset()

    shown = retry(task_id, failed=True, dry_run=True)
    assert "delivered" == shared.ledger.queries.record(task_id).state
    done = retry(task_id, failed=True)

    assert ((task_id,), shown) == (done.paid, done)
    wait_until(lambda: shared.ledger.queries.record(task_id).status == "succeeded", what="it")
    assert shared.ledger.queries.task_of(first) == task_id
    assert 1 == shared.emulator.stats()["created"]


def test_an_unknown_create_is_retried_by_name(shared: Fleet) -> None:
    """It may exist, so only ``unknown`` sends another create request."""
    shared.emulator.faults(**LOST)
    task_id, _ = failed_chain(shared)
    with pytest.raises(InputError, match="it may exist and be billed"):
        retry(task_id, failed=True)
    shared.emulator.reset()

    assert (task_id,) == retry(task_id, unknown=True).paid

    returned(shared, task_id)
    assert "succeeded" == shared.ledger.queries.record(task_id).status


def test_an_outcome_that_is_being_returned_is_waited_for(
    shared: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has the result of a task may retry it, although its worker has not ended the delivery yet."""
    shared.emulator.faults(**REFUSED)
    task_id = one(shared, "bad", on_failure="return").apply_async(task_id=new_id()).id
    returned(shared, task_id)
    shared.emulator.reset()
    record, client = f"{shared.ledger.prefix}record:{task_id}", shared.redis.client
    client.hset(record, "state", "delivering")

    def end_delivery(_seconds: float) -> None:
        client.hset(record, "state", "delivered")

    clock = SimpleNamespace(monotonic=time.monotonic, sleep=end_delivery)
    monkeypatch.setattr("mulequeue.tasks.retry.time", clock)

    assert (task_id,) == retry(task_id).unpaid
    returned(shared, task_id)


@pytest.mark.parametrize("what", ["unknown id", "runs", "succeeded"])
def test_what_cannot_be_retried_is_an_error_and_changes_nothing(shared: Fleet, what: str) -> None:
    """An id that is not known, a generation that runs, and one that succeeded; also beside a good one."""
    shared.emulator.faults(**REFUSED)
    refused, _ = failed_chain(shared)
    shared.emulator.faults(creates=[], lives=[{"contains": "long", "end": "never"}])
    name = new_id()
    if what != "unknown id":
        one(shared, "long" if what == "runs" else "short").apply_async(task_id=name)
        shared.wait_for_state(name, "generating" if what == "runs" else "delivered")
    before = shared.emulator.stats()["creates"]

    with pytest.raises(InputError, match=name):
        retry(refused, name)

    assert "failed" == shared.ledger.queries.record(refused).status
    assert before == shared.emulator.stats()["creates"]


def test_a_retry_that_is_refused_again_fails_again(shared: Fleet) -> None:
    """Each refusal is unpaid, so it can be retried until it is accepted."""
    shared.emulator.faults(**REFUSED)
    task_id, result = failed_chain(shared)

    for number in (1, 2):
        retry(task_id)
        wait_until(
            lambda number=number: shared.emulator.stats()["creates"] == number + 1, what="a create"
        )
        returned(shared, task_id)
    shared.emulator.reset()
    retry(task_id)

    succeeded(shared, result.id)
    assert 3 == shared.ledger.queries.record(task_id).retries


def test_a_retry_whose_process_dies_goes_on(shared: Fleet) -> None:
    """The ledger's step is the whole retry: no message has to follow it."""
    shared.emulator.faults(**REFUSED)
    task_id, result = failed_chain(shared)
    shared.emulator.reset()
    ctx = worker_context(shared.app)
    retries, _ = prepare(ctx, [shared.ledger.queries.record(task_id)])

    ctx.ledger.retries.retry(retries, ttl_seconds=60)  # and no poll message
    repeated, _ = ctx.ledger.retries.retry(retries, ttl_seconds=60)

    assert not repeated
    assert 1 == len(succeeded(shared, result.id)["files"])
    assert 1 == shared.emulator.stats()["created"]


def test_a_chord_that_received_the_failure_is_not_called_again(shared: Fleet) -> None:
    """Its count has no place for a second result: the member succeeds, and the body ran once."""
    shared.emulator.faults(**REFUSED)
    ids = [new_id(), new_id()]
    header = [
        one(shared, prompt, on_failure="return").set(task_id=task_id)
        for prompt, task_id in zip(("good", "bad"), ids, strict=True)
    ]
    body = shared.chord(header, shared.task("user.collect"))()
    assert ["succeeded", "failed"] == [item["status"] for item in body.get(timeout=60)]
    shared.emulator.faults(creates=[])

    shown = retry(ids[1], dry_run=True)
    done = retry(ids[1])

    assert ((ids[1],), (ids[1],)) == (shown.in_chord, done.in_chord)
    wait_until(
        lambda: shared.ledger.queries.record(ids[1]).status == "succeeded", what="the member"
    )
    returned(shared, ids[1])

    assert ["succeeded", "failed"] == [
        item["status"] for item in shared.app.AsyncResult(body.id).get(timeout=60)
    ]
    assert not list(shared.redis.client.scan_iter("*chord*"))


def test_a_chain_in_a_chord_that_received_the_failure_is_named(shared: Fleet) -> None:
    """Its last task belongs to the chord; the chain itself goes on."""
    shared.emulator.faults(**REFUSED)
    task_id, files_id = new_id(), new_id("files")
    member = one(shared, "bad", on_failure="return").set(task_id=task_id)
    member |= shared.task("mulequeue.download").set(task_id=files_id)
    body = shared.chord([member, one(shared)], shared.task("user.collect"))()
    assert ["failed", "succeeded"] == [item["status"] for item in body.get(timeout=60)]
    shared.emulator.reset()

    assert (task_id,) == retry(task_id).in_chord

    again = shared.app.AsyncResult(f"{files_id}-again-1").get(timeout=60)
    assert ("succeeded", 1) == (again["status"], len(again["files"]))
