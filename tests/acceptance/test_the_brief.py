"""The promise the project was made for: a generation that runs holds no worker."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from support.fleet import Fleet
from support.waiting import wait_until

MODEL = "alibaba/wan2.6-t2i"
IN_FLIGHT = 200
NOOP_WITHIN_SECONDS = 2.0


def _active(fleet: Fleet) -> list[dict[str, Any]]:
    """What the worker says it is running, poll sweeps left out."""
    answer = fleet.app.control.inspect(timeout=3).active() or {}
    tasks = [task for worker in answer.values() for task in worker]
    return [task for task in tasks if task["name"] != "mulequeue.poll"]


def _noop_seconds(fleet: Fleet) -> float:
    """From sending a task that has nothing to do with us to its start."""
    sent = time.time()
    started = fleet.task("user.noop").apply_async().get(timeout=60)
    return float(started) - sent


def test_other_tasks_start_at_once_while_200_generations_run(make_fleet: Any) -> None:
    """With 200 generations in flight on one process, a task of the user's starts within 2 s."""
    fleet = make_fleet(min_seconds=45, max_seconds=90)
    fleet.worker("-c", "1")
    for number in range(IN_FLIGHT):
        fleet.task("mulequeue.generate", MODEL, {"prompt": f"mule {number}"}).delay()
    stats = fleet.emulator.wait(created=IN_FLIGHT, timeout_seconds=120)

    delays = []
    for _ in range(5):
        # Each time a while of status checks later: the sends meet the sweeps at another moment.
        stats = fleet.emulator.wait(polls=stats["polls"] + 30)
        delays.append(_noop_seconds(fleet))
    print("seconds until a no-op task started:", [f"{delay:.3f}" for delay in delays])

    assert max(delays) < NOOP_WITHIN_SECONDS
    assert IN_FLIGHT == fleet.ledger.queries.counts()["generating"]
    assert IN_FLIGHT == fleet.emulator.stats()["created"]


def test_a_generation_holds_its_slot_for_its_post_alone(make_fleet: Any) -> None:
    """The one slot is busy while the API has not answered the create, and free from then on."""
    fleet = make_fleet(emulator={"faults": {"lives": [{"end": "never"}]}})
    fleet.emulator.faults(creates=[{"do": "hold"}])
    fleet.worker("-c", "1")

    task_id = uuid.uuid4().hex
    fleet.task("mulequeue.generate", MODEL, {"prompt": "a mule"}).apply_async(task_id=task_id)
    fleet.emulator.wait(held_creates=1)
    assert [task_id] == [task["id"] for task in _active(fleet)]

    fleet.emulator.release("creates")
    fleet.wait_for_state(task_id, "generating")
    wait_until(lambda: not _active(fleet), what="the slot to be free")
    fleet.task("user.noop").apply_async().get(timeout=30)
    assert "generating" == fleet.ledger.queries.record(task_id).state
    assert 1 == fleet.emulator.stats()["creates"]


def test_the_poll_task_is_a_message_with_a_countdown(make_fleet: Any) -> None:
    """``celery inspect scheduled`` shows the one ``mulequeue.poll`` and when it is due."""
    fleet = make_fleet(emulator={"faults": {"lives": [{"end": "never"}]}})
    fleet.worker("-c", "1")
    for number in range(3):
        call = fleet.task("mulequeue.generate", MODEL, {"prompt": f"{number}"}, poll_interval=20)
        call.delay()
    fleet.emulator.wait(created=3)

    def scheduled() -> list[dict[str, Any]]:
        answer = fleet.app.control.inspect(timeout=3).scheduled() or {}
        return [item for worker in answer.values() for item in worker]

    items = wait_until(scheduled, what="a scheduled task")
    assert {"mulequeue.poll"} == {item["request"]["name"] for item in items}
    assert all(item["eta"] for item in items)


@pytest.mark.parametrize("pool", ["threads", "gevent", "solo"])
def test_other_pools_free_the_slot_too(make_fleet: Any, pool: str) -> None:
    """On threads, gevent and solo, a no-op task runs while one generation is under way."""
    if pool == "gevent":
        pytest.importorskip("gevent")
    fleet = make_fleet(emulator={"faults": {"lives": [{"polls": 4}]}})
    fleet.worker("-P", pool, "-c", "1")
    call = fleet.task("mulequeue.generate", MODEL, {"prompt": "a mule"}, poll_interval=0.5)
    result = call.delay()
    fleet.emulator.wait(polls=1)

    fleet.task("user.noop").apply_async().get(timeout=30)

    assert "succeeded" == result.get(timeout=30)["status"]
    assert 1 == fleet.emulator.stats()["created"]
