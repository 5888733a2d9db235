"""Arguments by position and by keyword, and ids that are no text."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from support.fleet import Fleet
from support.generations import MODEL, Log, new_id

import mulequeue
from mulequeue import adopt, generate, generate_from, generate_many
from mulequeue.errors import InputError

INPUT = {"prompt": "a mule"}
VIDEO = {"model": "alibaba/wan2.6-i2v", "input": {"prompt": "it walks"}}
FAST = {"poll_interval": 0.1}
BY_NAME = {"model": MODEL, "input": INPUT, **FAST}


def _after_one(step: Any) -> Any:
    return (generate.s(MODEL, INPUT, **FAST) | step).delay()


FORMS: dict[str, Callable[[Fleet], Any]] = {
    "delay, both by keyword": lambda fleet: generate.delay(**BY_NAME),
    "delay, one by keyword": lambda fleet: generate.delay(MODEL, input=INPUT, **FAST),
    "apply_async": lambda fleet: generate.apply_async(kwargs=BY_NAME),
    "send_task": lambda fleet: fleet.app.send_task("mulequeue.generate", kwargs=BY_NAME),
    "signature": lambda fleet: generate.s(input=INPUT, **FAST).delay(model=MODEL),
    "generate_from": lambda fleet: _after_one(generate_from.s(**VIDEO, **FAST)),
    "generate_from, one by keyword": lambda fleet: _after_one(
        generate_from.s(VIDEO["model"], input=VIDEO["input"], **FAST)
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_call_is_delivered(shared: Fleet, form: str) -> None:
    """The message that wakes the task is valid for every form of its call."""
    result = FORMS[form](shared)

    assert "succeeded" == result.get(timeout=30)["status"]


def test_previous_outcome_and_adoption_by_keyword(shared: Fleet) -> None:
    """All arguments of the other generating tasks may be keywords too."""
    outcome = generate.delay(**BY_NAME).get(timeout=30)

    video = generate_from.delay(previous=outcome, **VIDEO, **FAST)
    again = adopt.delay(api_path=MODEL, remote_id=outcome["remote_id"], **FAST)

    assert "video" == video.get(timeout=30)["kind"]
    assert outcome["remote_id"] == again.get(timeout=30)["remote_id"]
    assert 2 == shared.emulator.stats()["creates"]


def test_keyword_call_that_waits_for_its_limit_is_submitted(shared: Fleet) -> None:
    """A call by keyword that parks before its create request is submitted with its input."""
    mulequeue.pause()
    result = generate.apply_async(kwargs=BY_NAME, task_id=new_id())
    shared.wait_for_state(result.id, "waiting")

    mulequeue.unpause()

    assert "succeeded" == result.get(timeout=30)["status"]
    assert ["a mule"] == [create["body"]["prompt"] for create in shared.emulator.creates()]


def test_uuids_are_ids(shared: Fleet) -> None:
    """A UUID object is an id wherever one is taken: of a task, a batch, a remote generation."""
    task_id, batch_id = uuid.uuid4(), uuid.uuid4()

    first = generate.apply_async((MODEL, INPUT), FAST, task_id=task_id)
    outcome = first.get(timeout=30)
    again = generate.apply_async((MODEL, INPUT), FAST, task_id=str(task_id))
    batch = generate_many(MODEL, [INPUT], batch_id=batch_id, download=False, **FAST).delay()
    adopted = adopt.delay(MODEL, uuid.UUID(outcome["remote_id"]), **FAST)

    assert str(task_id) == outcome["task_id"] == first.id == again.id
    assert outcome == again.get(timeout=5)
    assert ["succeeded"] == [member["status"] for member in batch.get(timeout=30)]
    assert outcome["remote_id"] == adopted.get(timeout=30)["remote_id"]
    assert "delivered" == mulequeue.status(task_id).state
    assert 1 == mulequeue.status(batch_id).size
    assert {str(task_id): "delivered"} == mulequeue.cancel(task_id)
    assert outcome["remote_id"] == mulequeue.resume(task_id).args[1]
    assert 2 == shared.emulator.stats()["creates"]


def test_uuids_in_a_canvas(shared: Fleet) -> None:
    """A canvas passes the ids of its steps on as text."""
    ids = [uuid.uuid4() for _ in range(2)]
    steps = generate.s(MODEL, INPUT, **FAST).set(task_id=ids[0])
    steps |= mulequeue.download.s().set(task_id=ids[1])

    result = steps.delay()

    assert str(ids[0]) == result.get(timeout=30)["task_id"]
    assert [str(ids[1]), str(ids[0])] == [result.id, result.parent.id]


def test_uuid_of_a_sender_without_mulequeue(shared: Fleet) -> None:
    """A message whose header holds a UUID object is handled like one with text."""
    task_id = uuid.uuid4()

    shared.app.send_task("mulequeue.generate", kwargs=BY_NAME, task_id=task_id)

    assert "succeeded" == shared.wait_for_state(str(task_id), "delivered").status


@pytest.mark.parametrize(
    "call",
    [
        lambda: generate.apply_async((MODEL, INPUT), task_id=7),
        lambda: generate.delay(MODEL, INPUT, batch_id=7),
        lambda: generate.s(MODEL, INPUT, batch_id=b"b", batch_size=1),
        lambda: generate.s(MODEL, INPUT, batch_id="b", batch_size="1"),
        lambda: (generate.s(MODEL, INPUT) | mulequeue.download.s().set(task_id=7)).delay(),
        lambda: generate_many(MODEL, [INPUT], batch_id=7),
        lambda: adopt.delay(MODEL, 7),
        lambda: mulequeue.status(7),
        lambda: mulequeue.cancel(7),
        lambda: mulequeue.resume(7),
        lambda: generate_from.s(**VIDEO, pol_interval=1),
    ],
)
def test_other_ids_are_refused_at_the_call(shared: Fleet, call: Callable[[], Any]) -> None:
    """No message is sent, and nothing is billed."""
    with pytest.raises(InputError, match=r"must be|has no argument 'pol_interval'"):
        call()
    assert 0 == shared.emulator.stats()["creates"]


def test_batch_id_of_another_type_fails_its_generation(shared: Fleet) -> None:
    """In a message by task name, a wrong batch id fails the call and is no outage of Redis."""
    log = Log(shared)
    kwargs = {**BY_NAME, "batch_id": 7, "on_failure": "return"}

    outcome = shared.app.send_task("mulequeue.generate", kwargs=kwargs).get(timeout=30)

    assert ("failed", "InputError") == (outcome["status"], outcome["error"]["type"])
    assert "does not answer" not in log.text
    assert 0 == shared.emulator.stats()["creates"]


@pytest.mark.parametrize("task_id", ["transfer:t", "gate:t"])
def test_reserved_task_id_fails_its_message(shared: Fleet, task_id: str) -> None:
    """A worker refuses a message whose id the ledger uses itself, before anything is recorded."""
    log = Log(shared)

    shared.app.send_task("mulequeue.adopt", (MODEL, "remote-1"), task_id=task_id)

    log.wait_for("InputError")
    assert [] == list(shared.ledger.queries.task_ids())
