"""What a user's own project has beside mulequeue: tasks that have nothing to do with it."""

from __future__ import annotations

import json
import time
from inspect import getclosurevars
from pathlib import Path
from typing import Any

from celery import Task, shared_task

from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import InputError
from support.waiting import wait_until


@shared_task(name="user.noop")
def noop() -> float:
    """Returns the unix time it ran at."""
    return time.time()


@shared_task(name="user.tracer", bind=True)
def tracer(self: Task) -> str:
    """Returns how this process traces a generation."""
    trace = self.app.tasks["mulequeue.generate"].__trace__
    return str(getclosurevars(trace).nonlocals["Info"].__name__)


@shared_task(name="user.collect")
def collect(results: Any) -> Any:
    """The body of a chord."""
    return results


@shared_task(name="user.note")
def note(value: Any, path: str) -> Any:
    """Appends a line to a file: how often it ran is counted outside of Celery."""
    with Path(path).open("a") as file:
        file.write("ran\n")
    return value


@shared_task(name="user.save")
def save(outcome: Any, path: str, fails: int = 0, is_final: bool = False) -> None:
    """Appends what it got to a file, and fails the first times.

    :param is_final: with an error after which it is not called again.
    """
    with Path(path).open("a") as file:
        file.write(json.dumps(outcome) + "\n")
    if len(Path(path).read_text().splitlines()) <= fails:
        raise InputError("no row") if is_final else ValueError("no row")


@shared_task(name="user.slow")
def slow(outcome: Any, folder: str) -> None:
    """Notes that it began, waits for a file, and notes that it ended."""
    task_id = outcome["task_id"]
    with Path(folder, "began").open("a") as file:
        file.write(f"{task_id}\n")
    wait_until(Path(folder, "go").exists, seconds=300, what="the file")
    with Path(folder, "ended").open("a") as file:
        file.write(f"{task_id}\n")


@shared_task(name="user.count")
def count(results: Any) -> int:
    """Counts what it gets."""
    return len(results)


class LateTask(Task):
    """A task whose message leaves only after the lease of the task that sends it was renewed."""

    abstract = True

    def apply_async(self, *args: Any, **options: Any) -> Any:
        sender = self._get_app().current_worker_task
        if sender is not None:
            ledger = worker_context(self._get_app()).ledger
            names = (sender.request.id, f"transfer:{sender.request.id}")

            def due() -> list[float | None]:
                return [ledger.redis.zscore(f"{ledger.prefix}due", name) for name in names]

            before = due()
            wait_until(lambda: due() != before, what="a renewed lease")
        return super().apply_async(*args, **options)


@shared_task(name="user.late", base=LateTask)
def late(value: Any) -> Any:
    """Whatever follows after a broker that took its time."""
    return value
