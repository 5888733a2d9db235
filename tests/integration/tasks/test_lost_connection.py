"""Redis is away for a moment while a worker has a task of it in hand."""

from __future__ import annotations

from collections.abc import Callable

from support.fleet import Fleet
from support.generations import QUICK, new_id, one
from support.waiting import wait_until


def test_a_worker_outlives_the_connection_its_task_came_over(
    make_fleet: Callable[..., Fleet],
) -> None:
    """A task ends after its worker has reconnected: its message cannot be acknowledged any more,
    which the worker survives, and what the task did stands.
    """
    fleet = make_fleet(persistent=True)
    worker = fleet.worker("-c", "1", *QUICK)
    fleet.emulator.faults(creates=[{"do": "hold", "count": 1}])
    first = one(fleet).apply_async(task_id=new_id(), ignore_result=True).id
    fleet.emulator.wait(held_creates=1)

    fleet.redis.kill()
    wait_until(lambda: "Connection refused" in worker.text, what="the worker to notice")
    fleet.redis.start()
    wait_until(lambda: worker.text.count("Connected to redis") > 1, what="the worker to reconnect")
    fleet.emulator.release("creates")
    assert "succeeded" == fleet.wait_for_state(first, "delivered", seconds=60).status

    second = one(fleet).apply_async(task_id=new_id(), ignore_result=True).id
    assert "succeeded" == fleet.wait_for_state(second, "delivered").status
    assert not worker.has_ended
    assert 2 == fleet.emulator.stats()["creates"]
