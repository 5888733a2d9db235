"""Which ids a published message is noted under."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery, chain

import mulequeue.contrib.enqueued as enqueued
from mulequeue.engine.submit.park import EPOCH

GENERATE, MODEL = "mulequeue.generate", ("alibaba/wan2.6-t2i", {"prompt": "a"})


@pytest.fixture(params=[2, 1], ids=["protocol 2", "protocol 1"])
def app(request: pytest.FixtureRequest) -> Any:
    with Celery("shop", broker="memory://", set_as_current=False) as made:
        made.conf.task_protocol = request.param
        yield made


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The ids of each message, in place of notes in a ledger."""
    found: list[set[str]] = []

    class Notes:
        def __init__(self, _: Any) -> None:
            self.add = found.append

    class Context:
        state: dict[str, Any] = {}  # noqa: RUF012

    monkeypatch.setattr(enqueued, "_Notes", Notes)
    monkeypatch.setattr(enqueued, "worker_context", lambda _: Context)
    Context.state.clear()
    return found


def signature(app: Celery, task_id: str, **kwargs: Any) -> Any:
    return app.signature(GENERATE, args=MODEL, kwargs=kwargs, task_id=task_id)


def test_a_generation_is_noted_by_its_task_id(app: Celery, noted: list[set[str]]) -> None:
    """Whether it is sent by its task or by name."""
    signature(app, "one").apply_async()
    app.send_task(GENERATE, MODEL, task_id="two")

    assert [{"one"}, {"two"}] == noted


def test_a_batch_is_noted_by_its_id(app: Celery, noted: list[set[str]]) -> None:
    """Its task and its members are found by the same note."""
    app.send_task("mulequeue.generate_many", ("m", []), {"batch_id": "b"}, task_id="b-0123")
    signature(app, "b-000000", batch_id="b", batch_size=2).apply_async()

    assert [{"b"}, {"b"}] == noted


def test_other_messages_are_not_noted(app: Celery, noted: list[set[str]]) -> None:
    """Neither other tasks nor wakes, whose generations have records."""
    app.send_task("mulequeue.poll", ("token",))
    app.send_task("shop.word")
    signature(app, "woken", **{EPOCH: "epoch"}).apply_async(add_to_parent=False)
    signature(app, "woken by 0.1.0").apply_async(headers={EPOCH: "epoch"}, add_to_parent=False)

    assert [] == noted


def test_later_steps_of_a_chain_are_noted(noted: list[set[str]]) -> None:
    """A page may show the second generation while the first one is queued."""
    with Celery("shop", broker="memory://", set_as_current=False) as app:
        second = app.signature("mulequeue.generate_from", args=MODEL, task_id="second")
        stored = app.signature("mulequeue.download", task_id="stored")
        chain(signature(app, "first"), second, stored, app=app).apply_async()

    assert [{"first", "second"}] == noted
