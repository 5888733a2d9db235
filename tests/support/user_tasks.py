"""What a user's own project has beside mulequeue: tasks that have nothing to do with it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from celery import shared_task


@shared_task(name="user.noop")
def noop() -> float:
    """Returns the unix time it ran at."""
    return time.time()


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
