"""The caller's own data travels from the call to everything that reports on the generation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook
from support.fleet import SECRET, Fleet
from support.generations import MODEL, new_id, one
from support.raw_server import RawServer
from support.waiting import wait_until

import mulequeue
from mulequeue.errors import GenerationFailed, InputError
from mulequeue.tasks.batch_ids import member_id

SKU = {"sku": "A-1", "row": 7}


def test_outcome_and_notification_have_it(shared: Fleet, receiver: RawServer) -> None:
    """The outcome of each step and the notification have the metadata; the API does not get it."""
    notify = shared.task("mulequeue.notify", f"{receiver.url}/hook")
    steps = one(shared, metadata=SKU) | shared.task("mulequeue.download") | notify

    outcome = steps.delay().get(timeout=30)

    assert SKU == outcome["metadata"]
    wait_until(lambda: receiver.requests, what="a notification")
    [request] = receiver.requests
    Webhook(SECRET).verify(request.body.decode(), request.headers)
    assert SKU == json.loads(request.body)["data"]["metadata"]
    assert [{"prompt": "a mule"}] == [create["body"] for create in shared.emulator.creates()]


def test_a_failure_has_it(shared: Fleet) -> None:
    """The outcome in an exception has the metadata."""
    shared.emulator.faults(lives=[{"end": "failed"}])

    with pytest.raises(GenerationFailed) as failed:
        one(shared, metadata=SKU).delay().get(timeout=30)

    assert SKU == failed.value.outcome["metadata"]


def test_the_next_generation_of_a_chain_keeps_it(shared: Fleet) -> None:
    """generate_from has the metadata of the generation before it, unless it is given its own."""
    video = ("mulequeue.generate_from", "alibaba/wan2.6-i2v", {"prompt": "it walks"})
    kept = one(shared, metadata=SKU) | shared.task(*video, poll_interval=0.1)
    own = one(shared, metadata=SKU) | shared.task(*video, poll_interval=0.1, metadata={"of": "b"})

    assert SKU == kept.delay().get(timeout=30)["metadata"]
    assert {"of": "b"} == own.delay().get(timeout=30)["metadata"]


def test_resume_keeps_it(shared: Fleet) -> None:
    """A resumed generation has the metadata of the first one."""
    task_id = new_id()
    one(shared, metadata=SKU).apply_async(task_id=task_id).get(timeout=30)

    resumed = mulequeue.resume(task_id, app=shared.app).delay().get(timeout=30)

    assert SKU == resumed["metadata"]


def test_members_of_a_batch_have_their_own(shared: Fleet) -> None:
    """A list gives each member its object; an object is for all."""
    batch_id, whole = new_id("batch"), new_id("batch")
    inputs = [{"prompt": "one"}, {"prompt": "two"}]

    for name, given in ((batch_id, [{"row": 1}, {"row": 2}]), (whole, {"row": 0})):
        batch = mulequeue.generate_many(
            MODEL, inputs, batch_id=name, metadata=given, poll_interval=0.1
        )
        batch.delay().get(timeout=60)

    def rows(name: str) -> list[int]:
        records = shared.ledger.queries.records([member_id(name, index) for index in range(2)])
        return [record.metadata["row"] for record in records if record]

    assert [1, 2] == rows(batch_id)
    assert [0, 0] == rows(whole)


@pytest.mark.parametrize("call", [mulequeue.generate.s, mulequeue.generate.delay])
def test_too_much_is_refused_where_it_is_called(shared: Fleet, call: Callable[..., Any]) -> None:
    """Metadata over its size is refused in the calling process, and nothing is sent."""
    with pytest.raises(InputError, match="at most 1,024"):
        call(MODEL, {"prompt": "a mule"}, metadata={"k": "x" * 2000})
    with pytest.raises(InputError, match=r"metadata\[1\]: .* at most 1,024"):
        mulequeue.generate_many(MODEL, [{"prompt": "a"}] * 2, metadata=[{}, {"k": "x" * 2000}])

    assert 0 == shared.emulator.stats()["creates"]


def test_too_much_by_name_is_an_outcome(shared: Fleet) -> None:
    """A call by task name is refused by the worker, unpaid, as any other bad input."""
    call = {"metadata": {"k": "x" * 2000}, "on_failure": "return"}
    sent = shared.app.send_task("mulequeue.generate", (MODEL, {"prompt": "a"}), call)

    outcome = sent.get(timeout=30)

    assert ("failed", "InputError") == (outcome["status"], outcome["error"]["type"])
    assert 0 == shared.emulator.stats()["creates"]
