"""What the emulator tells by webhook."""

from __future__ import annotations

import json
import uuid

import pytest
from support.emulator_client import AT_ONCE, created, poll
from support.raw_server import http, raw_server

from mulequeue.emulator import EmulatorProcess
from mulequeue.emulator.webhook_endpoints import Endpoint


@pytest.fixture
def receiver():
    """A server that accepts everything."""
    with raw_server(http("200 OK")) as server:
        yield server


def bodies(receiver):
    return [json.loads(request.body) for request in receiver.requests]


def test_creation_and_end_are_told_with_what_a_poll_answers(emulator, receiver):
    """Pending in the first, in the second the same JSON as the GET; each event has its own id."""
    emulator.webhook(receiver.url + "/hook")
    remote_id = created(emulator, prompt="a mule")
    emulator.wait(webhooks=1)
    emulator.finish(remote_id)
    emulator.wait(webhooks=2)

    first, second = bodies(receiver)

    assert ["task.created", "task.succeeded"] == [first["type"], second["type"]]
    assert {"vendor": "alibaba", "model_name": "wan2.6-t2i"} == {
        name: second["data"][name] for name in ("vendor", "model_name")
    }
    info = first["data"]["payload"]["task_info"]
    assert (remote_id, "pending") == (info["id"], info["status"])
    assert poll(emulator, remote_id).json() == second["data"]["payload"]
    assert first["id"] != second["id"]
    assert "POST /hook HTTP/1.1" == receiver.requests[0].line


def test_deliveries_are_signed_over_the_raw_body(emulator, receiver):
    """The receiver's own calculation comes to the same signature."""
    given = emulator.webhook(receiver.url)
    created(emulator, prompt="a mule")
    emulator.wait(webhooks=1)

    request = receiver.requests[0]
    timestamp = request.headers["x-mulerouter-webhook-timestamp"]
    delivery_id = request.headers["x-mulerouter-webhook-id"]
    expected = Endpoint(**given).sign(delivery_id, timestamp, request.body)

    assert f"v1={expected}" == request.headers["x-mulerouter-webhook-signature"]
    assert delivery_id != json.loads(request.body)["id"]


@pytest.mark.parametrize("life", [{"seconds": 0.2}, {"polls": 1}, {"at_create": True}])
def test_every_kind_of_end_is_told_once(emulator, receiver, life):
    """After a time, with a poll, or in the answer to the create: one event, however often polled."""
    emulator.webhook(receiver.url, events=["task.failed"])
    emulator.faults(lives=[{"end": "failed", **life}])

    remote_id = created(emulator, prompt="a mule")
    poll(emulator, remote_id)
    emulator.wait(webhooks=1)
    poll(emulator, remote_id)
    emulator.send_webhook("task.failed", last=True)
    emulator.wait(webhooks=2)

    assert [remote_id, None] == [
        body["data"].get("payload", {}).get("task_info", {}).get("id") for body in bodies(receiver)
    ]


def test_only_the_chosen_events_are_sent(emulator, receiver):
    """The end is chosen, so nothing is said of the creation."""
    emulator.webhook(receiver.url, events=["task.succeeded"])
    emulator.faults(lives=AT_ONCE)
    created(emulator, prompt="a mule")
    emulator.wait(webhooks=1)

    assert ["task.succeeded"] == [item["type"] for item in emulator.webhooks()]


def test_a_refusal_is_answered_with_a_few_more_attempts(emulator):
    """The same delivery id and body again, at most three times, then given up."""
    with raw_server(http("503 Busy")) as receiver:
        emulator.webhook(receiver.url, retry_seconds=0.01)
        emulator.send_webhook()
        emulator.wait(webhook_attempts=3)
        ids = {request.headers["x-mulerouter-webhook-id"] for request in receiver.requests}
        delivery = emulator.webhooks()[0]

    assert 1 == len(ids)
    assert [503, 503, 503] == delivery["answers"]
    assert 0 == emulator.stats()["webhooks"]


def test_a_receiver_that_is_away_is_noted(emulator):
    """No answer is noted by the name of the error, and the API itself goes on."""
    emulator.webhook("http://127.0.0.1:9/", attempts=1)
    remote_id = created(emulator, prompt="a mule")
    emulator.wait(webhook_attempts=1)

    assert ["ClientConnectorError"] == emulator.webhooks()[0]["answers"]
    assert 200 == poll(emulator, remote_id).status_code


def test_deliveries_can_come_twice_and_out_of_order(emulator, receiver):
    """The end comes first, each twice under its own delivery id."""
    emulator.webhook(receiver.url, copies=2, reorder=True)
    emulator.faults(lives=AT_ONCE)
    created(emulator, prompt="a mule")
    emulator.wait(webhooks=4)

    types = [body["type"] for body in bodies(receiver)]
    ids = [request.headers["x-mulerouter-webhook-id"] for request in receiver.requests]

    assert ["task.succeeded"] * 2 + ["task.created"] * 2 == types
    assert ids[0] == ids[1] != ids[2] == ids[3]


def test_a_low_balance_is_told_on_demand(emulator, receiver):
    """The event of its own kind, with data of your own if you like."""
    emulator.webhook(receiver.url)
    first = emulator.send_webhook()
    second = emulator.send_webhook("balance.low", available_balance_usd=1)
    emulator.wait(webhooks=2)

    told = {body["id"]: body for body in bodies(receiver)}
    assert "ALERTED" == told[first]["data"]["state"]
    assert {"available_balance_usd": 1} == told[second]["data"]


def test_endpoints_of_the_scenario_come_back_with_a_reset(tmp_path, receiver):
    """The file's endpoints are in force from the start; one that was added later is gone."""
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps({"webhooks": [{"url": receiver.url}], "lives": AT_ONCE}))

    with EmulatorProcess(scenario=str(file)) as emulator:
        emulator.webhook("http://127.0.0.1:9/")
        emulator.reset()
        created(emulator, prompt="a mule")
        emulator.wait(webhooks=2)
        urls = {item["url"] for item in emulator.webhooks()}

    assert {receiver.url} == urls


def test_a_wrong_endpoint_is_refused_with_what_is_known(emulator):
    """Nothing is added, and the text names the fields."""
    with pytest.raises(ValueError, match=r"webhooks\[0\] has no key 'colour'\. Known: url, secret"):
        emulator.webhook("http://x", colour="red")
    with pytest.raises(
        ValueError, match=r"type must be one of task\.created, .*, not 'task\.gone'"
    ):
        emulator.send_webhook("task.gone")
    assert [] == emulator.webhooks()


def test_ids_of_events_are_never_those_of_generations(emulator, receiver):
    """Two events of one generation at two endpoints: two event ids, four delivery ids."""
    emulator.webhook(receiver.url + "/one")
    emulator.webhook(receiver.url + "/two")
    emulator.faults(lives=AT_ONCE)
    remote_id = created(emulator, prompt="a mule")
    emulator.wait(webhooks=4)

    listed = emulator.webhooks()
    assert 2 == len({item["event_id"] for item in listed})
    assert 4 == len({item["delivery_id"] for item in listed})
    assert str(uuid.UUID(remote_id)) not in json.dumps([item["event_id"] for item in listed])
