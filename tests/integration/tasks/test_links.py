"""Callbacks of a generation: link and link_error."""

from __future__ import annotations

import json

import pytest
from standardwebhooks.webhooks import Webhook
from support.fleet import SECRET, Fleet
from support.generations import one
from support.raw_server import RawServer
from support.waiting import wait_until

from mulequeue.errors import GenerationFailed


def told(receiver: RawServer, count: int = 1) -> list[dict]:
    """The verified bodies of the notifications that came."""
    wait_until(lambda: len(receiver.requests) >= count, what="a notification")
    for request in receiver.requests:
        Webhook(SECRET).verify(request.body.decode(), request.headers)
    return [json.loads(request.body) for request in receiver.requests]


def test_link_tells_of_a_success(shared: Fleet, receiver: RawServer) -> None:
    """notify as link gets the outcome."""
    notify = shared.task("mulequeue.notify", target=f"{receiver.url}/hook")

    result = one(shared).apply_async(link=notify)

    outcome = result.get(timeout=30)
    [body] = told(receiver)
    assert "generation.succeeded" == body["type"]
    assert outcome["remote_id"] == body["data"]["remote_id"]


def test_link_error_tells_of_a_failure(shared: Fleet, receiver: RawServer) -> None:
    """notify as link_error tells of the outcome that failed, though it is given the task id only."""
    shared.emulator.faults(lives=[{"end": "failed", "detail": "a bad mule"}])
    notify = shared.task("mulequeue.notify", target=f"{receiver.url}/hook")

    result = one(shared).apply_async(link_error=notify)

    with pytest.raises(GenerationFailed):
        result.get(timeout=30)
    [body] = told(receiver)
    assert "generation.failed" == body["type"]
    assert "a bad mule" == body["data"]["error"]["detail"]
    assert result.id == body["data"]["task_id"]


def test_link_error_of_a_chain_tells_of_any_step(shared: Fleet, receiver: RawServer) -> None:
    """A link_error on a whole chain tells of a download that was given up."""
    shared.emulator.faults(downloads=[{"do": "html"}])
    notify = shared.task("mulequeue.notify", target=f"{receiver.url}/hook")
    download = shared.task("mulequeue.download", path="/nowhere/{index}.{ext}")

    (one(shared) | download).on_error(notify).delay()

    [body] = told(receiver)
    assert "generation.failed" == body["type"]
    assert "TaskFailed" == body["data"]["error"]["type"]
