"""A batch whose message the broker lost before a worker had begun it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from celery import Celery
from kombu.exceptions import OperationalError
from support.fleet import Fleet
from support.generations import MODEL, QUICK
from support.raw_server import RawServer
from support.redis_server import free_port
from support.waiting import wait_until

from mulequeue import generate_many

INPUTS = [{"prompt": f"mule {number}", "n": 1} for number in range(3)]


def many(**options: Any) -> Any:
    return generate_many(MODEL, INPUTS, poll_interval=0.1, **options)


def lose(fleet: Fleet, task_id: str) -> None:
    """Empty the broker's queue, and let the message be overdue as if 25 seconds had passed."""
    redis, prefix = fleet.redis.client, fleet.ledger.prefix
    wait_until(lambda: redis.llen("celery") == 1, what="its message in the queue")
    redis.delete("celery")
    assert redis.zadd(f"{prefix}due", {f"transfer:{task_id}": 1}, xx=True, ch=True)


def test_it_is_published_again(fleet: Fleet, receiver: RawServer) -> None:
    """``get`` ends with every member, each paid once, and what follows the batch runs once."""
    result = many(batch_id="b", notify=receiver.url).delay()
    lose(fleet, result.parent.id)

    fleet.worker(*QUICK)

    assert ["succeeded"] * 3 == [member["status"] for member in result.get(timeout=60)]
    assert (3, 0) == (fleet.emulator.stats()["created"], fleet.emulator.stats()["duplicates"])
    assert 1 == len(receiver.requests)
    assert fleet.ledger.enqueued.has("b")


def test_a_message_that_comes_late_is_ignored(fleet: Fleet) -> None:
    """A message that was not lost, and its repetition: each member is paid once."""
    redis = fleet.redis.client
    result = many().delay()
    wait_until(lambda: redis.llen("celery") == 1, what="its message in the queue")
    message = redis.lindex("celery", 0)
    lose(fleet, result.id)

    fleet.worker(*QUICK)
    wait_until(lambda: fleet.ledger.queries.batch(result.id), what="the repetition")
    redis.rpush("celery", message)

    assert 3 == len(result.get(timeout=60))
    wait_until(lambda: redis.llen("celery") == 0, what="the late message to be taken")
    assert (3, 0) == (fleet.emulator.stats()["created"], fleet.emulator.stats()["duplicates"])


def test_a_batch_that_is_cancelled_before_it_begins_stays_cancelled(fleet: Fleet) -> None:
    """The repetition of its message makes nothing."""
    result = many(batch_id="b").delay()
    fleet.ledger.generations.cancel_batch("b", ttl_seconds=60)
    lose(fleet, result.id)

    fleet.worker(*QUICK)

    assert ["cancelled"] * 3 == [member["status"] for member in result.get(timeout=60)]
    assert 0 == fleet.emulator.stats()["creates"]


def test_a_call_whose_message_is_not_confirmed_is_not_repeated_by_the_fleet(fleet: Fleet) -> None:
    """The caller gets the error, and decides."""
    fleet.app.conf.broker_url = f"redis://127.0.0.1:{free_port()}/0"

    with pytest.raises(OperationalError) as raised:
        many(batch_id="b").apply_async(retry=False)

    assert "Repeat the call with batch_id='b'" in "".join(raised.value.__notes__)
    assert (0, None) == fleet.ledger.queries.overdue()


def test_a_ledger_that_is_away_delays_no_call(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    """The message is sent all the same; the process says once that Redis does not answer."""
    app = Celery("elsewhere", broker=fleet.redis.url, set_as_current=False)
    app.conf.mulequeue_redis_url = f"redis://127.0.0.1:{free_port()}/0"
    batch = many(batch_id="b").set(task_id="b-1")

    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            app.tasks[batch.task].apply_async(batch.args, batch.kwargs, task_id="b-1")

    assert 2 == fleet.redis.client.llen("celery")
    assert 1 == caplog.text.count("the ledger's Redis does not answer")
    app.close()


@pytest.mark.parametrize("option", ["expires", "countdown"])
def test_a_batch_with_a_time_is_not_repeated(fleet: Fleet, option: str) -> None:
    """A repetition would begin it at another time."""
    many(batch_id="b").apply_async(**{option: 600})

    assert (0, None) == fleet.ledger.queries.overdue()
