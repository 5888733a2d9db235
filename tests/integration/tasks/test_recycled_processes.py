"""Pool processes that end after each task: ``worker_max_tasks_per_child``."""

from __future__ import annotations

import time
from collections.abc import Callable

from support.fleet import Fleet
from support.generations import QUICK, new_id, one
from support.status_api import Answer, status_api, task

CHECK_SECONDS = 2.5
"""Longer than a sweep, and than a process has from its last task to its end."""


def slow(prompt: str, remote_id: str, number: int) -> Answer:
    time.sleep(CHECK_SECONDS)
    done = task(remote_id, "completed", images=["https://a.test/b.png"])
    return task(remote_id, "processing") if number == 1 else done


def test_a_check_is_finished_by_the_process_that_began_it(make_fleet: Callable[..., Fleet]) -> None:
    """A process that is replaced while a check is under way finishes it: none is made twice."""
    with status_api(slow) as api:
        fleet = make_fleet(env={"MULEROUTER_BASE_URL": api.url})
        fleet.worker(*QUICK, "-c", "1", "--max-tasks-per-child", "1")

        outcome = one(fleet).apply_async(task_id=new_id()).get(timeout=60)

    assert "succeeded" == outcome["status"]
    assert 2 == outcome["polls"] == api.checks["a mule"]
    recovered = fleet.redis.client.hget(f"{fleet.ledger.prefix}metrics", "recoveries\tclaim")
    assert recovered is None
