"""MuleRouter's webhooks end generations on a running fleet; status checks are the backstop."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery
from support.emulator_client import poll
from support.fleet import Fleet
from support.generations import Log, new_id, one, started
from support.waiting import wait_until
from support.webhook import WEBHOOK_SECRET, ended, event, signed

from mulequeue.engine import webhook_handler
from mulequeue.signals import balance_low

NEVER = 3000.0
"""A poll interval that no test lives to see."""
Post = Callable[..., webhook_handler.Reply]


@pytest.fixture
def web(shared: Fleet) -> Iterator[Celery]:
    """The app of a web process: not the one that sends, and not a worker's."""
    app = Celery("web", set_as_current=False)
    app.config_from_object("mulequeue.recommended")
    url = shared.redis.url
    app.conf.update(broker_url=url, result_backend=url, mulequeue_redis_url=url)
    app.conf.update(mulequeue_webhook_secret=WEBHOOK_SECRET)
    yield app
    app.close()


@pytest.fixture
def post(web: Celery) -> Post:
    """Hands a webhook to the web process, signed."""

    def deliver(body: bytes, **options: str) -> webhook_handler.Reply:
        return webhook_handler.handle(signed(body, **options), body, app=web)

    return deliver


def watched(fleet: Fleet) -> tuple[str, str]:
    """Task id and remote id of a generation that no status check will end."""
    fleet.emulator.faults(lives=[{"end": "never"}])
    task_id = started(fleet, poll_interval=NEVER)
    return task_id, fleet.ledger.queries.record(task_id).remote_id


def answer(fleet: Fleet, remote_id: str) -> dict:
    """What the API answers about a generation that has just ended."""
    fleet.emulator.finish(remote_id)
    return poll(fleet.emulator, remote_id).json()


def test_a_webhook_settles_and_wakes_at_once(shared: Fleet, post: Post) -> None:
    """A generation that is never checked ends with what the webhook told of it."""
    task_id, remote_id = watched(shared)
    told = answer(shared, remote_id)

    reply = post(event(told))

    outcome = shared.app.AsyncResult(task_id).get(timeout=30)
    assert (200, "settled") == (reply.status_code, reply.text)
    assert "succeeded" == outcome["status"]
    assert told["images"] == [asset["url"] for asset in outcome["assets"]]
    assert 0 == outcome["polls"]


def test_a_failure_is_told_with_its_reason(shared: Fleet, post: Post) -> None:
    """A failed generation ends with the API's code and words."""
    shared.emulator.faults(lives=[{"end": "never"}])
    task_id = started(shared, poll_interval=NEVER, on_failure="return")
    error = {"code": 3001, "title": "Invalid Request", "detail": "not allowed"}
    failed = ended(shared.ledger.queries.record(task_id).remote_id, "failed")
    failed["task_info"]["error"] = error

    post(event(failed, kind="task.failed"))

    outcome = shared.app.AsyncResult(task_id).get(timeout=30)
    assert "failed" == outcome["status"]
    assert error == {key: outcome["error"][key] for key in error}


def test_a_webhook_before_the_id_is_recorded_is_kept(shared: Fleet, post: Post) -> None:
    """An end that is told while the create's answer is still on its way is not lost."""
    shared.emulator.faults(creates=[{"do": "hold_after", "count": 1}], lives=[{"end": "never"}])
    result = one(shared, poll_interval=NEVER).apply_async(task_id=new_id())
    shared.emulator.wait(held_creates=1)
    remote_id = shared.emulator.generations()[0]["remote_id"]

    early = post(event(answer(shared, remote_id)))
    shared.emulator.release()

    assert (200, "early") == (early.status_code, early.text)
    assert "succeeded" == result.get(timeout=30)["status"]
    assert {"early": 1} == shared.ledger.webhooks.counts()


def test_an_event_that_comes_again_changes_nothing(
    shared: Fleet, post: Post, tmp_path: Path
) -> None:
    """Redeliveries of one event, each under its own delivery id, end a generation once."""
    shared.emulator.faults(lives=[{"end": "never"}])
    notes = tmp_path / "notes"
    chain = one(shared, poll_interval=NEVER) | shared.task("user.note", path=str(notes))
    result = chain.apply_async(task_id=new_id())
    record = shared.wait_for_state(result.parent.id, "generating")
    body = event(answer(shared, record.remote_id))

    replies = [post(body, delivery=f"dlv_{number}").text for number in range(3)]

    result.get(timeout=30)
    delivered = shared.wait_for_state(result.parent.id, "delivered")
    assert ["settled", "repeated", "repeated"] == replies
    assert 1 == delivered.deliveries
    assert "ran\n" == notes.read_text()


def test_a_webhook_after_a_status_check_changes_nothing(shared: Fleet, post: Post) -> None:
    """What a status check settled stays as it is, whatever a webhook says later."""
    task_id = one(shared).apply_async(task_id=new_id()).id
    before = shared.wait_for_state(task_id, "delivered")

    reply = post(event(ended(before.remote_id, "failed"), kind="task.failed"))

    assert (200, "already settled") == (reply.status_code, reply.text)
    assert before == shared.ledger.queries.record(task_id)


def test_webhooks_and_status_checks_together_deliver_once(
    shared: Fleet, post: Post, tmp_path: Path
) -> None:
    """Twenty generations that are told of and checked at the same time are each delivered once."""
    notes = tmp_path / "notes"
    note = shared.task("user.note", path=str(notes))
    results = [(one(shared) | note).apply_async(task_id=new_id()) for _ in range(20)]

    def tell(task_id: str) -> None:
        states = ("generating", "settled", "delivering", "delivered")
        remote_id = shared.wait_for_state(task_id, *states).remote_id
        post(event(answer(shared, remote_id)))

    threads = [threading.Thread(target=tell, args=(result.parent.id,)) for result in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {"succeeded"} == {result.get(timeout=30)["status"] for result in results}
    records = [shared.wait_for_state(result.parent.id, "delivered") for result in results]
    assert {1} == {record.deliveries for record in records}
    assert 20 == notes.read_text().count("ran")


def test_events_on_the_way_change_nothing(shared: Fleet, post: Post) -> None:
    """Creation, words that are not known, and an end without files leave it to status checks."""
    task_id, remote_id = watched(shared)
    before = shared.ledger.queries.record(task_id)

    pending = post(event(ended(remote_id, "pending"), kind="task.created"))
    unknown = post(event(ended(remote_id, "resting"), kind="task.succeeded"))
    bare = post(event({"task_info": {"id": remote_id, "status": "completed"}}))
    tomorrow = post(event({}, kind="wallet.renamed"))

    assert {(200, "other")} == {
        (it.status_code, it.text) for it in (pending, unknown, bare, tomorrow)
    }
    assert before == shared.ledger.queries.record(task_id)


def test_an_unknown_generation_is_taken_and_counted(shared: Fleet, post: Post) -> None:
    """Events of generations that were made elsewhere on the account are answered 200."""
    reply = post(event(ended("5d0a1c4e-0000-4000-8000-000000000000")))

    assert 200 == reply.status_code
    assert {"early": 1} == shared.ledger.webhooks.counts()


def test_an_id_that_came_late_does_not_end_its_record(shared: Fleet, post: Post) -> None:
    """An event of the second of two ids that one task came to does not settle the first."""
    task_id, _ = watched(shared)
    other = "5d0a1c4e-0000-4000-8000-000000000001"
    shared.redis.client.set(f"{shared.ledger.prefix}remote:{other}", task_id)

    reply = post(event(ended(other)))

    assert "already settled" == reply.text
    assert "generating" == shared.ledger.queries.record(task_id).state


def test_a_low_balance_is_a_signal(post: Post, web: Celery) -> None:
    """``balance.low`` reaches the receivers of the signal once, with the event."""
    seen = []

    def receive(sender, event, **_):
        seen.append((sender, event["type"]))

    balance_low.connect(receive)
    try:
        body = event(None, kind="balance.low")
        replies = [post(body).status_code for _ in range(2)]
    finally:
        balance_low.disconnect(receive)

    assert [200, 200] == replies
    assert [(web, "balance.low")] == seen


GOOD = event(ended("5d0a1c4e-0000-4000-8000-000000000002"))
DEEP = b'{"id":' * 200_000
# What a webhook is answered with, its body, and its headers (None: signed as it should be).
BAD = {
    "unsigned": (401, GOOD, {}),
    "stale": (401, GOOD, signed(GOOD, at=1_700_000_000)),
    "another secret": (401, GOOD, signed(GOOD, secret="whsec_b3RoZXI=")),
    "truncated": (401, GOOD[:-10], signed(GOOD)),
    "changed": (401, GOOD.replace(b"completed", b"failed"), signed(GOOD)),
    "oversized": (413, GOOD + b" " * 1024**2, signed(GOOD + b" " * 1024**2)),
    "empty": (400, b"", None),
    "not JSON": (400, b"<html>", None),
    "not text": (400, b"\xff\xfe\x00", None),
    "too deep": (400, DEEP[: 1024**2], None),
    "a list": (400, b"[1]", None),
    "no id": (400, b'{"type":"task.failed"}', None),
    "an odd id": (400, b'{"id":7,"type":"x"}', None),
    "a long id": (400, event({}, event_id="x" * 201), None),
    "no payload": (400, b'{"id":"e","type":"task.x"}', None),
    "an odd payload": (400, event([1], event_id="e"), None),
    "no remote id": (400, event(ended(""), event_id="e"), None),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_changes_nothing(
    name: str, shared: Fleet, web: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    """It is answered 4xx, writes nothing, and leaves one log line without its content."""
    status, body, headers = BAD[name]
    redis, keys = shared.redis.client, f"{shared.ledger.prefix}*"

    with caplog.at_level(logging.INFO, "mulequeue"):
        reply = webhook_handler.handle(signed(body) if headers is None else headers, body, app=web)

    assert status == reply.status_code
    written = {key.decode().removeprefix(shared.ledger.prefix) for key in redis.scan_iter(keys)}
    assert set() == written - {"metrics"}  # a worker counts there, now and then
    (record,) = caplog.records
    assert "5d0a1c4e" not in json.dumps(vars(record), default=str)


def test_without_a_secret_every_webhook_is_refused(shared: Fleet) -> None:
    """A process that knows no secret takes nothing, and says what to set."""
    reply = webhook_handler.handle(signed(GOOD), GOOD, app=shared.app)

    assert 503 == reply.status_code
    assert "MULEQUEUE_WEBHOOK_SECRET" in reply.text


def test_without_redis_the_api_is_asked_to_send_again(web: Celery) -> None:
    """While the ledger cannot be reached a webhook is answered 503, which is no loss."""
    web.conf.update(mulequeue_redis_url="redis://127.0.0.1:1/0")

    reply = webhook_handler.handle(signed(GOOD), GOOD, app=web)

    assert 503 == reply.status_code


def test_status_checks_become_rare_and_return(shared: Fleet, post: Post) -> None:
    """Webhooks that come slow a profile's checks down; one that fails to come ends that."""
    _, remote_id = watched(shared)
    post(event(answer(shared, remote_id)))
    assert {"default"} == shared.ledger.webhooks.working_profiles(["default", "other"])
    log = Log(shared)

    shared.emulator.reset_faults()
    one(shared).apply_async(task_id=new_id()).get(timeout=30)

    wait_until(
        lambda: not shared.ledger.webhooks.working_profiles(["default"]),
        what="the cadence to return",
    )
    assert "failed unexpectedly" not in log.text
