"""The signature that a task leaves behind when it parks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery, chain, chord
from celery.app.task import Context

from mulequeue.engine.submit.park import EPOCH, marker_of, parked_signature, upgrade_signature
from mulequeue.ledger import pack, unpack


@pytest.fixture
def task() -> Any:
    """A task of an app that no broker is needed for."""
    app = Celery("parking", broker="memory://", set_as_current=False)

    @app.task(name="user.work", bind=True)
    def work(self: Any, *args: Any) -> None: ...

    yield work
    app.close()


@pytest.fixture
def generate() -> Any:
    """The task ``generate`` of an app."""
    app = Celery("parking", broker="memory://", set_as_current=False)
    app.finalize()
    yield app.tasks["mulequeue.generate"]
    app.close()


def with_request(task: Any, **fields: Any) -> Any:
    known = {"id": "t-1", "args": ["model", {"prompt": "a"}], "kwargs": {"k": 1}, "headers": None}
    task.push_request(**{**known, **fields})
    return task


def test_same_message_with_a_marker(task: Any) -> None:
    """Id, arguments and the user's own headers stay; the epoch is added to the body, and the queue."""
    task = with_request(task, headers={"tenant": "blue"})

    signature = parked_signature(task, queue="wakes", epoch="e1")

    assert ("user.work", {"k": 1, EPOCH: "e1"}) == (signature["task"], signature["kwargs"])
    assert ["model", {"prompt": "a"}] == list(signature["args"])
    options = signature["options"]
    assert ("t-1", "wakes") == (options["task_id"], options["queue"])
    assert {"tenant": "blue"} == options["headers"]


def test_times_of_the_first_message_are_dropped(task: Any) -> None:
    """A wake neither expires nor waits for the time the first message named."""
    task = with_request(
        task, expires=datetime(2020, 1, 1, tzinfo=UTC).isoformat(), eta="2020-01-01T00:00:00+00:00"
    )

    options = parked_signature(task, queue="wakes", epoch="e1")["options"]

    assert options.get("expires") is None
    assert options.get("eta") is None


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (["m", {"prompt": "a"}], {}),
        (["m"], {"input": {"prompt": "a"}}),
        ([], {"model": "m", "input": {"prompt": "a"}}),
    ],
)
def test_input_is_dropped_from_every_form_of_call(
    generate: Any, args: list[Any], kwargs: dict[str, Any]
) -> None:
    """The message of a wake has each argument once, however the caller passed it."""
    task = with_request(generate, args=args, kwargs={**kwargs, "on_failure": "return"})

    signature = parked_signature(task, queue=None, epoch="e1", input={})

    assert ["m", {}] == list(signature["args"])
    assert {"on_failure": "return", EPOCH: "e1"} == signature["kwargs"]


def test_what_follows_is_published_with_patience(task: Any) -> None:
    """The next step, links and a chord's body are published again for a minute, not for 0.6 s."""
    step = task.si()
    step.type.app.set_current()
    given = chain(step, step).tasks
    task = with_request(
        task, chain=[dict(s) for s in given], callbacks=[dict(step)], chord=dict(task.s())
    )

    options = parked_signature(task, queue="wakes", epoch="e1")["options"]

    for follower in (options["chain"][-1], options["link"][0], options["chord"]):
        assert follower["options"]["retry_policy"]["max_retries"] >= 30


def test_users_own_retry_policy_stays(task: Any) -> None:
    """A policy that the user set is not replaced."""
    follower = dict(task.s().set(retry_policy={"max_retries": 1}))

    options = parked_signature(with_request(task, chain=[follower]), queue="w", epoch="e")[
        "options"
    ]

    assert {"max_retries": 1} == options["chain"][-1]["options"]["retry_policy"]


@pytest.mark.parametrize(
    ("kwargs", "headers", "marker"),
    [
        (None, None, ""),
        ({}, {}, ""),
        ({EPOCH: "e1"}, None, "e1"),
        ({EPOCH: ""}, {}, ""),
        ({}, {EPOCH: "e1"}, "e1"),
        ({EPOCH: "e2"}, {EPOCH: "e1"}, "e2"),
    ],
)
def test_marker(kwargs: Any, headers: dict[str, Any] | None, marker: str) -> None:
    """Only a wake's message has a marker: in its body, or as a header of version 0.1.0."""
    assert marker == marker_of(Context(kwargs=kwargs, headers=headers))


def test_stored_signature_of_an_earlier_version_is_upgraded() -> None:
    """The epoch moves from the headers into the body, and an argument that is given twice is given once."""
    stored = {
        "task": "mulequeue.generate",
        "args": ["m", {}],
        "kwargs": {"model": "m", "input": {"prompt": "a"}, "profile": "p"},
        "options": {"task_id": "t", "headers": {EPOCH: "e1", "tenant": "blue"}},
    }

    signature = upgrade_signature(stored)

    assert (["m", {}], {"profile": "p", EPOCH: "e1"}) == (signature["args"], signature["kwargs"])
    assert {"task_id": "t", "headers": {"tenant": "blue"}} == signature["options"]
    assert signature == upgrade_signature(signature)


def test_packing_is_lossless(task: Any) -> None:
    """What the ledger keeps of a signature is the signature, datetimes and all."""
    body = chord([task.s(1)], task.s()).tasks[0]
    task = with_request(task, stamps={"at": datetime(2026, 1, 1, tzinfo=UTC)}, chain=[dict(body)])
    signature = parked_signature(task, queue="wakes", epoch="e1")

    again = unpack(pack(signature))

    assert signature["options"]["headers"] == again["options"]["headers"]
    assert "user.work" == again["options"]["chain"][0]["task"]
    assert signature["task"] == again["task"]


def test_unknown_packing_is_refused() -> None:
    """Bytes of a version this release does not know are an error, not a guess."""
    with pytest.raises(ValueError, match="unknown version"):
        unpack(b"9whatever")
