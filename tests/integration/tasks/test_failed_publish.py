"""A call that raises because the broker did not confirm its message is not billed beside its repetition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kombu
import pytest
from celery._state import _task_stack
from kombu.exceptions import OperationalError
from support.fleet import Fleet
from support.generations import MODEL, QUICK, new_id

from mulequeue import generate, generate_from

INPUT, FAST = {"prompt": "a mule"}, {"poll_interval": 0.1}
BEFORE = {
    "task_id": "t",
    "status": "succeeded",
    "assets": [{"url": "https://x/1", "kind": "image"}],
}
VIDEO = ("alibaba/wan2.6-i2v", {"prompt": "it walks"})


@pytest.fixture
def unconfirmed(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The broker takes every message, and the connection is lost before it confirms one."""
    publish = kombu.Producer.publish

    def lose_answer(self: Any, *args: Any, **options: Any) -> None:
        publish(self, *args, **options)
        raise OperationalError("the connection was lost")

    fleet.app.set_current()
    monkeypatch.setattr(kombu.Producer, "publish", lose_answer)
    return monkeypatch


@pytest.fixture
def in_a_task(fleet: Fleet) -> Iterator[None]:
    """What follows is done by a running task of the user's own."""

    @fleet.app.task(name="user.order", bind=True)
    def order(self: Any) -> None: ...

    order.push_request(id="order-1", called_directly=False)
    _task_stack.push(order)
    yield
    _task_stack.pop()
    order.pop_request()


def leases(fleet: Fleet) -> list[bytes]:
    due = fleet.redis.client.zrange(f"{fleet.ledger.prefix}due", 0, -1)
    return [name for name in due if name.startswith(b"transfer:")]


def test_repetition_with_a_new_id_is_billed_once(
    fleet: Fleet, unconfirmed: pytest.MonkeyPatch
) -> None:
    """The message that the broker took is cancelled before it is submitted; the repetition is billed."""
    with pytest.raises(OperationalError) as caught:
        generate.delay(MODEL, INPUT, **FAST)
    unconfirmed.undo()
    again = generate.delay(MODEL, INPUT, **FAST)
    fleet.worker(*QUICK)

    assert "succeeded" == again.get(timeout=30)["status"]
    withdrawn = [task_id for task_id in fleet.ledger.queries.task_ids() if task_id != again.id]
    assert "cancelled" == fleet.wait_for_state(withdrawn[0], "delivered").status
    assert not hasattr(caught.value, "__notes__")
    assert 1 == fleet.emulator.stats()["creates"]


def test_repetition_with_the_same_id_is_billed_once(
    fleet: Fleet, unconfirmed: pytest.MonkeyPatch
) -> None:
    """With an id of the caller's own both messages are one generation, and the error says so."""
    task_id = new_id()
    with pytest.raises(OperationalError) as caught:
        generate.apply_async((MODEL, INPUT), FAST, task_id=task_id)
    unconfirmed.undo()
    again = generate.apply_async((MODEL, INPUT), FAST, task_id=task_id)
    fleet.worker(*QUICK)

    assert "succeeded" == again.get(timeout=30)["status"]
    assert [f"Repeat the call with task_id={task_id!r}" in caught.value.__notes__[0]] == [True]
    assert 1 == fleet.emulator.stats()["creates"]


def test_error_names_the_id_if_the_ledger_is_away(
    fleet: Fleet, unconfirmed: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that cannot reach the ledger is told how to repeat the call safely."""
    fleet.app.conf.mulequeue_redis_url = "redis://127.0.0.1:1/0"

    with pytest.raises(OperationalError) as caught:
        generate.delay(MODEL, INPUT)

    assert "Repeat the call with task_id=" in caught.value.__notes__[0]
    assert "a call that failed could not be withdrawn" in caplog.text


def test_running_task_that_cannot_publish_leaves_nothing_to_publish_later(
    fleet: Fleet, unconfirmed: pytest.MonkeyPatch, in_a_task: None
) -> None:
    """The error reaches the running task, so the ledger does not publish the message beside a repetition."""
    with pytest.raises(OperationalError):
        generate_from.delay(BEFORE, *VIDEO)

    assert [] == leases(fleet)
    (withdrawn,) = fleet.ledger.queries.task_ids()
    assert "tombstone" == fleet.ledger.queries.record(withdrawn).state


def test_download_that_cannot_be_published_is_published_later(
    fleet: Fleet, unconfirmed: pytest.MonkeyPatch, in_a_task: None
) -> None:
    """A download is free and stores the same file, so the ledger keeps it."""
    with pytest.raises(OperationalError):
        fleet.task("mulequeue.download", BEFORE).apply_async(task_id="files")

    assert [b"transfer:files"] == leases(fleet)
