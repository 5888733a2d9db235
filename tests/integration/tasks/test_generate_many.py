"""The batch that is made for you: generate_many."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from standardwebhooks.webhooks import Webhook
from support.fleet import SECRET, Fleet
from support.generations import MODEL, Log, new_id
from support.raw_server import RawServer
from support.waiting import wait_until

from mulequeue.errors import InputError
from mulequeue.tasks.batch_ids import member_id
from mulequeue.tasks.canvases import generate_many

PROMPTS = ["one", "bad", "three", "four"]
FAILING = {"lives": [{"contains": "bad", "end": "failed"}]}


def many(fleet: Fleet, prompts: list[str] = PROMPTS, **options):
    inputs = [{"prompt": prompt} for prompt in prompts]
    return generate_many(MODEL, inputs, poll_interval=0.1, **options)


def test_members_return_the_short_form_in_order(shared: Fleet) -> None:
    """Members return {task_id, status, files} in the order of the inputs, whatever came of them."""
    shared.emulator.faults(**FAILING)
    batch_id = new_id("batch")

    members = many(shared, batch_id=batch_id).delay().get(timeout=60)

    assert [member_id(batch_id, i) for i in range(4)] == [m["task_id"] for m in members]
    statuses = ["succeeded", "failed", "succeeded", "succeeded"]
    assert statuses == [m["status"] for m in members]
    assert [1, 0, 1, 1] == [len(m["files"]) for m in members]
    assert {"task_id", "status", "files"} == set(members[0])
    for member in members:
        for url in member["files"]:
            assert Path(urlsplit(url).path).read_bytes().startswith(b"\x89PNG")


def test_rest_is_in_the_ledger(shared: Fleet) -> None:
    """The prompt's start, the files and why a member failed are read by its task id."""
    shared.emulator.faults(**FAILING)

    members = many(shared).delay().get(timeout=60)

    records = shared.ledger.queries.records([member["task_id"] for member in members])
    assert PROMPTS == [record.label for record in records]
    assert "GenerationFailed" == records[1].answer["error"]["type"]
    assert members[0]["files"] == [file.url for file in records[0].files]


def test_batch_is_counted(shared: Fleet) -> None:
    """The batch's counters add up to its size once it is over."""
    shared.emulator.faults(**FAILING)
    batch_id = new_id("batch")

    many(shared, batch_id=batch_id).delay().get(timeout=60)

    batch = shared.ledger.queries.batch(batch_id)
    assert (4, 4, 3, 3) == (batch.size, batch.over, batch.files, batch.downloaded)
    assert 3 == batch.counts["succeeded"]
    assert 1 == batch.counts["failed"]


def test_end_is_notified_of_once(shared: Fleet, receiver: RawServer) -> None:
    """The one notification at the end is signed, and lists the members and their counts."""
    shared.emulator.faults(**FAILING)

    members = many(shared, notify=f"{receiver.url}/hook").delay().get(timeout=60)

    wait_until(lambda: receiver.requests, what="a notification")
    [request] = receiver.requests
    Webhook(SECRET).verify(request.body.decode(), request.headers)
    body = json.loads(request.body)
    assert "batch.finished" == body["type"]
    assert members == body["data"]["generations"]
    assert (3, 1) == (body["data"]["counts"]["succeeded"], body["data"]["counts"]["failed"])


def test_same_batch_twice_is_paid_once(shared: Fleet) -> None:
    """A batch enqueued twice under one id makes one create per input."""
    batch_id, log = new_id("batch"), Log(shared)
    batch = many(shared, ["one", "two"], batch_id=batch_id)

    first = batch.delay()
    for index in range(2):
        shared.wait_for_state(
            member_id(batch_id, index), "generating", "settled", "delivering", "delivered"
        )
    batch.delay()

    assert 2 == len(first.get(timeout=60))
    log.wait_for("nothing to do for this message: duplicate", times=2)
    assert 2 == shared.emulator.stats()["creates"]


def test_without_download(shared: Fleet) -> None:
    """With download=False nothing is fetched; the assets stay in the ledger."""
    [member] = many(shared, ["one"], download=False).delay().get(timeout=60)

    assert [] == member["files"]
    assert 0 == shared.emulator.stats()["downloads"]
    assert shared.ledger.queries.record(member["task_id"]).answer["assets"]


def test_nothing_to_do() -> None:
    """No inputs at all is an error where the batch is written down."""
    with pytest.raises(InputError, match="at least one input"):
        generate_many(MODEL, [])
