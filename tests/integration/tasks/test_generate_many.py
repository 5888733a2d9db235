"""The batch that is made for you: generate_many."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kombu.exceptions import OperationalError
from standardwebhooks.webhooks import Webhook
from support.fleet import SECRET, Fleet
from support.generations import MODEL, Log, new_id
from support.raw_server import RawServer
from support.waiting import wait_until

from mulequeue.errors import ConfigurationError, InputError
from mulequeue.ledger.timeline import steps_of
from mulequeue.tasks.batch_ids import member_id
from mulequeue.tasks.canvases import generate_many

PROMPTS = ["one", "bad", "three", "four"]
FAILING = {"lives": [{"contains": "bad", "end": "failed"}]}


def many(fleet: Fleet, prompts: list[str] = PROMPTS, **options):
    inputs = [{"prompt": prompt} for prompt in prompts]
    return generate_many(MODEL, inputs, poll_interval=0.1, **options)


def test_members_return_the_short_form_in_order(shared: Fleet) -> None:
    """Members return task_id, status and files in the order of the inputs, whatever came of them."""
    shared.emulator.faults(**FAILING)
    batch_id = new_id("batch")

    members = many(shared, batch_id=batch_id).delay().get(timeout=60)

    assert [member_id(batch_id, i) for i in range(4)] == [m["task_id"] for m in members]
    statuses = ["succeeded", "failed", "succeeded", "succeeded"]
    assert statuses == [m["status"] for m in members]
    assert [1, 0, 1, 1] == [len(m["files"]) for m in members]
    assert {"task_id", "status", "files"} == set(members[0])
    for member in members:
        for file in member["files"]:
            assert Path(urlsplit(file["url"]).path).read_bytes().startswith(b"\x89PNG")


def test_rest_is_in_the_ledger(shared: Fleet) -> None:
    """The prompt's start, the files and why a member failed are read by its task id."""
    shared.emulator.faults(**FAILING)

    members = many(shared).delay().get(timeout=60)

    records = shared.ledger.queries.records([member["task_id"] for member in members])
    assert PROMPTS == [record.label for record in records]
    assert "GenerationFailed" == records[1].answer["error"]["type"]
    assert members[0]["files"] == [asdict(file) for file in records[0].files]


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


def test_same_batch_twice_is_paid_once(shared: Fleet, receiver: RawServer) -> None:
    """A batch enqueued twice under one id makes one create per input, and is announced once."""
    shared.emulator.faults(creates=[{"do": "hold"}] * 2)
    call = {"batch_id": new_id("batch"), "notify": f"{receiver.url}/hook"}
    first = many(shared, ["one", "two"], **call).delay()
    shared.emulator.wait(held_creates=2)

    second = many(shared, ["one", "two"], **call).delay()
    shared.emulator.release()

    assert first.get(timeout=60) == second.get(timeout=60)
    assert 2 == len(many(shared, ["one", "two"], **call).delay().get(timeout=60))
    assert 2 == shared.emulator.stats()["creates"]
    assert 1 == len(receiver.requests)


@pytest.mark.parametrize("prompts", [["one", "three"], ["one", "two", "three"], ["one"]])
def test_known_batch_with_other_inputs_is_refused(shared: Fleet, prompts: list[str]) -> None:
    """Nothing of the second call is sent or counted; the first one's result stays."""
    batch_id = new_id("batch")
    members = many(shared, ["one", "two"], batch_id=batch_id).delay().get(timeout=60)

    refused = many(shared, prompts, batch_id=batch_id).delay()

    with pytest.raises(InputError, match="known with other inputs"):
        refused.get(timeout=30)
    batch = shared.ledger.queries.batch(batch_id)
    assert (2, 2, 2) == (batch.size, batch.over, batch.counts["succeeded"])
    assert 2 == shared.emulator.stats()["creates"]
    assert members == shared.app.AsyncResult(f"{batch_id}-body").get(timeout=10)


def test_other_inputs_are_refused_while_the_batch_runs(shared: Fleet) -> None:
    """The first call is not disturbed by the second one's error."""
    shared.emulator.faults(creates=[{"do": "hold"}] * 2)
    batch_id = new_id("batch")
    first = many(shared, ["one", "two"], batch_id=batch_id).delay()
    shared.emulator.wait(held_creates=2)

    refused = many(shared, ["one", "other"], batch_id=batch_id).delay()

    with pytest.raises(InputError, match="known with other inputs"):
        refused.get(timeout=30)
    shared.emulator.release()
    assert ["succeeded"] * 2 == [member["status"] for member in first.get(timeout=60)]


def test_task_behind_a_batch(shared: Fleet) -> None:
    """generate_many(…) | task: the task gets the list, and its result is the chain's."""
    result = (many(shared, ["one", "two"]) | shared.task("user.count")).delay()

    assert 2 == result.get(timeout=60)
    assert 2 == len(result.parent.get(timeout=10))


@pytest.mark.parametrize("immutable", [True, False])
def test_batch_behind_a_task(shared: Fleet, immutable: bool) -> None:
    """A batch takes no result of the task before it, which may have one."""
    first = shared.task("user.collect", "ready").set(immutable=immutable)

    members = (first | many(shared, ["one", "two"]) | shared.task("user.collect")).delay()

    assert ["succeeded"] * 2 == [member["status"] for member in members.get(timeout=60)]


def test_batches_in_a_chord(shared: Fleet) -> None:
    """Batches are members of a chord like other tasks."""
    header = [many(shared, ["one", "two"]), many(shared, ["three"])]

    found = shared.chord(header, shared.task("user.collect")).delay().get(timeout=60)

    assert [2, 1] == [len(members) for members in found]


def test_two_canvases_on_one_batch(shared: Fleet, tmp_path: Path) -> None:
    """One batch id in two chains, during the batch and after it: paid once, and each goes on once."""
    shared.emulator.faults(creates=[{"do": "hold"}] * 2)
    batch_id, notes = new_id("batch"), [tmp_path / name for name in "abc"]
    chains = [
        many(shared, ["one", "two"], batch_id=batch_id) | shared.task("user.note", path=str(path))
        for path in notes
    ]
    results = [chain.delay() for chain in chains[:2]]
    shared.emulator.wait(held_creates=2)
    shared.emulator.release()
    first, second = (result.get(timeout=60) for result in results)

    assert first == second == chains[2].delay().get(timeout=60)
    assert ["ran\n"] * 3 == [path.read_text() for path in notes]
    assert 2 == shared.emulator.stats()["creates"]


def test_callbacks_and_countdown_of_a_batch(shared: Fleet, tmp_path: Path) -> None:
    """link runs with the list, link_error with the error of a refused call; countdown delays it."""
    linked, failed = tmp_path / "linked", tmp_path / "failed"
    batch_id = new_id("batch")
    options = {
        "link": shared.task("user.note", path=str(linked)),
        "link_error": shared.task("user.note", path=str(failed)),
        "countdown": 0.2,
    }

    many(shared, ["one"], batch_id=batch_id).apply_async(**options).get(timeout=60)
    wait_until(linked.exists, what="the callback")
    refused = many(shared, ["other"], batch_id=batch_id).apply_async(**options)

    with pytest.raises(InputError):
        refused.get(timeout=60)
    wait_until(failed.exists, what="the error callback")
    assert "ran\n" == linked.read_text()


def test_members_go_to_the_queue_of_their_batch(shared: Fleet) -> None:
    """A queue that the call names is the members' too, with the priority and stamps of the call."""
    shared.app.control.add_consumer("aside", reply=True, timeout=5)
    log, batch_id = Log(shared), new_id("batch")

    many(shared, ["one"], batch_id=batch_id).apply_async(queue="aside").get(timeout=60)

    shared.app.control.cancel_consumer("aside", reply=True, timeout=5)
    batch = many(shared, ["one"], batch_id=new_id("batch"))
    batch.apply_async(queue="aside")
    assert f"mulequeue.generate[{batch_id}-000000] received" in log.text
    redis = shared.redis.client
    wait_until(lambda: redis.llen("aside") == 1, what="the next batch")
    redis.delete("aside")


def test_batch_is_sent_by_name(shared: Fleet) -> None:
    """Without this package, a batch is a task of that name; its id is the task's."""
    inputs = [{"prompt": "one", "n": 1}, {"prompt": "two", "n": 1}]
    result = shared.app.send_task(
        "mulequeue.generate_many", kwargs={"model": MODEL, "inputs": inputs}
    )

    members = result.get(timeout=60)

    assert [member_id(result.id, index) for index in range(2)] == [m["task_id"] for m in members]


def test_unknown_argument_of_a_batch(shared: Fleet) -> None:
    """A misspelt argument is an error where the batch is written down, and in the worker."""
    with pytest.raises(InputError, match="no argument 'pol_interval'"):
        generate_many(MODEL, [{"prompt": "one"}], pol_interval=1)

    result = shared.app.send_task(
        "mulequeue.generate_many", (MODEL, [{"prompt": "one"}]), {"pol_interval": 1}
    )
    with pytest.raises(InputError, match="no argument 'pol_interval'"):
        result.get(timeout=30)


def test_call_that_was_not_published_is_not_paid_later(
    shared: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the broker has taken the message after all, a batch without an id of the caller is cancelled.

    One with an id is not: repeated, it is the same batch.
    """
    unnamed, named = many(shared, ["one"]), many(shared, ["two"], batch_id=new_id("batch"))

    def send_and_raise(*args: Any, **options: Any) -> None:
        send(*args, **options)
        raise OperationalError("not confirmed")

    send = shared.app.send_task
    with monkeypatch.context() as patched:
        patched.setattr(shared.app, "send_task", send_and_raise)
        for batch in (unnamed, named):
            with pytest.raises(OperationalError) as caught:
                batch.apply_async(queue="aside")
    assert "Repeat the call with batch_id=" in caught.value.__notes__[0]
    shared.app.control.add_consumer("aside", reply=True, timeout=5)

    members = shared.app.AsyncResult(unnamed.id).get(timeout=60)

    assert ["cancelled"] == [member["status"] for member in members]
    assert ["succeeded"] == [member["status"] for member in named.delay().get(timeout=60)]
    assert ["two"] == [create["body"]["prompt"] for create in shared.emulator.creates()]
    shared.app.control.cancel_consumer("aside", reply=True, timeout=5)


def test_lost_file_of_a_member_is_a_value(shared: Fleet) -> None:
    """A member whose file is gone for good has no files and the reason; the batch goes on."""
    redirect = {"contains": "gone", "do": "redirect", "location": "ftp://example.com/a.png"}
    shared.emulator.faults(downloads=[redirect])

    members = many(shared, ["one", "gone"]).delay().get(timeout=60)

    assert ["succeeded", "succeeded"] == [member["status"] for member in members]
    assert [1, 0] == [len(member["files"]) for member in members]
    assert "DownloadError" == members[1]["error"]["type"]
    assert "ftp" in members[1]["error"]["detail"]


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


def test_each_member_can_have_its_own_file_name(shared: Fleet, tmp_path: Path) -> None:
    """With one template per input, names come from the caller and need no id."""
    inputs = [{"prompt": text, "n": n} for text, n in (("a", 1), ("b", 2))]
    paths = ["first.{ext}", "more/second.{ext}"]

    members = generate_many(
        MODEL, inputs, path=paths, storage=str(tmp_path), poll_interval=0.1
    ).delay()

    files = [file for member in members.get(timeout=60) for file in member["files"]]
    stored = [Path(urlsplit(file["url"]).path) for file in files]
    names = [str(path.relative_to(tmp_path)) for path in stored]
    assert ["first.png", "more/second-0.png", "more/second-1.png"] == names
    with pytest.raises(ConfigurationError, match=r"path\[0\] and path\[1\]"):
        generate_many(MODEL, inputs, path=["a.{ext}", "a.{ext}"])


def test_files_are_stored_while_the_batch_is_still_submitted(make_fleet) -> None:
    """The downloads of the first members do not wait behind the creates of all others."""
    fleet = make_fleet(min_seconds=0.05, max_seconds=0.1)
    fleet.worker("-c", "2")
    batch = many(fleet, [f"mule {number}" for number in range(600)], batch_id="large")

    batch.delay().get(timeout=300)

    records = fleet.ledger.queries.records([member_id("large", index) for index in range(600)])
    steps = [(step.name, step.at) for record in records for step in steps_of(record)]
    last_received = max(at for name, at in steps if name == "received")
    stored = [at for name, at in steps if name == "downloaded" and at < last_received]
    assert len(stored) >= 100  # about 400; without parts about 40


def test_files_of_chains_are_stored_while_others_wait_to_be_submitted(make_fleet) -> None:
    """A worker that takes 600 chains from one queue stores the first files before the last create."""
    fleet = make_fleet(min_seconds=0.05, max_seconds=0.1)
    for number in range(600):
        generate = fleet.task(
            "mulequeue.generate", MODEL, {"prompt": f"mule {number}"}, poll_interval=0.1
        )
        (generate | fleet.task("mulequeue.download")).delay()
    fleet.worker("-c", "2")

    def counts():
        return fleet.ledger.queries.counts()

    wait_until(lambda: counts().get("downloaded", 0) >= 100, seconds=300, what="a hundred files")

    assert fleet.emulator.stats()["created"] < 500


def test_what_was_sent_is_counted_while_no_worker_takes_it(make_fleet) -> None:
    """A part of a large batch is in the queue; the ledger knows how many, and the rest follows."""
    fleet = make_fleet(celeryconfig='task_routes = {"mulequeue.generate": {"queue": "creates"}}')
    fleet.worker()
    route = {"queue": "celery"}
    result = many(fleet, [f"mule {number}" for number in range(300)], batch_id="b").apply_async(
        **route
    )
    wait_until(
        lambda: (found := fleet.ledger.queries.batch("b")) and found.sent, what="a part to be sent"
    )
    found = fleet.ledger.queries.batch("b")

    assert (300, 0) == (found.size, found.begun)
    assert 0 < found.sent < 300
    fleet.worker("-Q", "creates")
    assert 300 == len(result.get(timeout=120))
    assert (300, 0) == (
        fleet.emulator.stats()["created"],
        fleet.emulator.stats()["duplicates"],
    )
