"""Called directly or eagerly: it waits in line, and needs neither Redis nor a worker."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chord, current_app
from support.fleet import KEY, SECRET
from support.generations import MODEL
from support.ports import free_port
from support.raw_server import RawServer

from mulequeue import adopt, download, generate, generate_from, generate_many, notify
from mulequeue.emulator.process import EmulatorProcess
from mulequeue.errors import GenerationFailed, GenerationTimedOut, InputError, SubmitUnknown

FAST = {"poll_interval": 0.05}
PROMPT = {"prompt": "a mule"}


@pytest.fixture(scope="module")
def _api() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(min_seconds=0.05, max_seconds=0.1) as emulator:
        yield emulator


@pytest.fixture
def api(_api: EmulatorProcess) -> Iterator[EmulatorProcess]:
    """An emulator on a good day."""
    yield _api
    _api.reset()


@pytest.fixture
def app(api: EmulatorProcess, tmp_path: Path) -> Iterator[Celery]:
    """An app whose Redis is a closed port."""
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    before = current_app._get_current_object()
    app = Celery("inline", broker=nowhere, set_as_current=True)
    app.conf.update(
        mulequeue_redis_url=nowhere,
        mulequeue_api_key=KEY,
        mulequeue_base_url=api.url,
        mulequeue_storage=str(tmp_path),
        mulequeue_notification_secret=SECRET,
    )
    yield app
    app.close()
    before.set_current()


@pytest.fixture
def eager(app: Celery) -> Celery:
    app.conf.update(task_always_eager=True, task_store_eager_result=False)
    return app


def test_direct_call_waits(app: Celery, api: EmulatorProcess) -> None:
    """generate(…) returns the outcome, after one create."""
    outcome = generate(MODEL, PROMPT, **FAST)

    assert ("succeeded", "image") == (outcome["status"], outcome["kind"])
    assert 1 == api.stats()["creates"]


def test_direct_calls_have_ids(app: Celery, tmp_path: Path) -> None:
    """Each direct call has an id, so a path that contains it names one file per generation."""
    app.conf.mulequeue_storage_path = "{task_id}.{ext}"

    stored = [download(generate(MODEL, PROMPT, **FAST)) for _ in range(2)]

    ids = [outcome["task_id"] for outcome in stored]
    assert [f"{task_id}.png" for task_id in sorted(ids)] == sorted(os.listdir(tmp_path))
    assert 2 == len(set(ids))


def test_eager_call_keeps_the_callers_id(eager: Celery) -> None:
    """An eager call has the id that the caller chose, a UUID as its text."""
    task_id = uuid.uuid4()

    outcome = generate.apply_async((MODEL, PROMPT), FAST, task_id=task_id).get()

    assert str(task_id) == outcome["task_id"]
    assert "order-7" == generate.apply((MODEL, PROMPT), FAST, task_id="order-7").get()["task_id"]


def test_direct_steps(app: Celery, receiver: RawServer) -> None:
    """download, generate_from and notify work on a value, one after the other."""
    image = generate(MODEL, PROMPT, **FAST)
    video = generate_from(image, "alibaba/wan2.6-i2v", {"prompt": "it walks"}, **FAST)
    stored = download(video)

    assert stored == notify(stored, f"{receiver.url}/hook")
    assert "video" == stored["files"][0]["kind"]
    assert 1 == len(receiver.requests)


def test_direct_adopt(app: Celery, api: EmulatorProcess) -> None:
    """adopt(…) waits for what exists, and sends nothing."""
    first = generate(MODEL, PROMPT, **FAST)

    again = adopt(first["api_path"], first["remote_id"], **FAST)

    assert first["assets"] == [
        {**asset, "expires_at": first["assets"][0]["expires_at"]} for asset in again["assets"]
    ]
    assert 1 == api.stats()["creates"]


def test_direct_failures(app: Celery, api: EmulatorProcess) -> None:
    """Failures raise what the worker's would, and on_failure="return" makes them values."""
    api.faults(creates=[{"do": "status", "status": 402}])
    with pytest.raises(GenerationFailed) as caught:
        generate(MODEL, PROMPT, **FAST)
    assert "InsufficientBalance" == caught.value.reason
    assert "failed" == generate(MODEL, PROMPT, on_failure="return", **FAST)["status"]

    api.faults(creates=[{"do": "drop_after"}])
    with pytest.raises(SubmitUnknown):
        generate(MODEL, PROMPT, **FAST)
    assert 3 == api.stats()["creates"]


def test_direct_timeout(app: Celery, api: EmulatorProcess) -> None:
    """max_wait ends the waiting, with the id to take it up again."""
    api.faults(lives=[{"end": "never"}])

    with pytest.raises(GenerationTimedOut) as caught:
        generate(MODEL, PROMPT, max_wait=0.3, **FAST)

    assert caught.value.outcome["remote_id"]


def test_direct_retry_after(app: Celery, api: EmulatorProcess) -> None:
    """A 429 was not created: it is sent again, and paid once."""
    api.faults(creates=[{"do": "status", "status": 429, "retry_after": "0", "count": 1}])

    assert "succeeded" == generate(MODEL, PROMPT, **FAST)["status"]
    stats = api.stats()
    assert (2, 1) == (stats["creates"], stats["created"])


@pytest.mark.parametrize("args", [("nobody/nothing", PROMPT), (MODEL, "text"), ("/vendors//x", {})])
def test_direct_bad_call(app: Celery, api: EmulatorProcess, args: tuple[Any, ...]) -> None:
    """A call that cannot be sent raises InputError where it is written."""
    with pytest.raises(InputError):
        generate(*args)
    assert 0 == api.stats()["creates"]


def test_eager_chain(eager: Celery) -> None:
    """In eager mode a chain waits step by step."""
    result = (generate.s(MODEL, PROMPT, **FAST) | download.s()).delay()

    assert 1 == len(result.get()["files"])


def test_eager_chord(eager: Celery, api: EmulatorProcess) -> None:
    """In eager mode a chord's body gets all outcomes, failures as values."""
    api.faults(lives=[{"contains": "bad", "end": "failed"}])
    header = [
        generate.s(MODEL, {"prompt": prompt}, on_failure="return", **FAST) | download.s()
        for prompt in ("one", "bad")
    ]
    told: list[Any] = []

    @eager.task
    def collect(outcomes: list[Any]) -> None:
        told.extend(outcomes)

    chord(header, collect.s()).delay()

    assert ["succeeded", "failed"] == [outcome["status"] for outcome in told]
    assert [1, 0] == [len(outcome["files"]) for outcome in told]


def test_eager_batch(eager: Celery, api: EmulatorProcess, receiver: RawServer) -> None:
    """In eager mode a batch waits in line for its members, and what follows it gets their outcomes."""
    api.faults(lives=[{"contains": "bad", "end": "failed"}])
    inputs = [{"prompt": prompt, "n": 1} for prompt in ("one", "bad")]

    result = (
        generate_many(MODEL, inputs, batch_id="b", **FAST) | notify.s(f"{receiver.url}/hook")
    ).delay()

    outcomes = result.get()
    assert ["succeeded", "failed"] == [outcome["status"] for outcome in outcomes]
    assert ["b-000000", "b-000001"] == [outcome["task_id"] for outcome in outcomes]
    assert [1, 0] == [len(outcome["files"]) for outcome in outcomes]
    assert 1 == len(receiver.requests)


def test_eager_task_id_is_the_outcomes(eager: Celery) -> None:
    """The eager task's id is the outcome's."""
    result = generate.apply_async((MODEL, PROMPT), FAST, task_id="order-1")

    assert "order-1" == result.get()["task_id"]


def test_eager_each(eager: Celery, api: EmulatorProcess) -> None:
    """In eager mode the task of ``each`` gets the outcome of each member too."""
    told: list[Any] = []

    @eager.task(name="eager.told")
    def told_of(outcome: Any, more: str) -> None:
        told.append((outcome["task_id"], outcome["metadata"], len(outcome["files"]), more))

    inputs = [{"prompt": prompt, "n": 1} for prompt in ("one", "two")]
    each = told_of.s("x")
    generate_many(MODEL, inputs, batch_id="b", each=each, metadata={"k": 1}, **FAST).delay()

    assert [("b-000000", {"k": 1}, 1, "x"), ("b-000001", {"k": 1}, 1, "x")] == told
