"""Whoever can write to the broker can start tasks, but cannot make a worker run code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.fleet import Fleet
from support.waiting import wait_until


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickled_message_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    """With the recommended settings a pickle is thrown away unread, and the worker goes on."""
    worker = fleet.worker()
    made = tmp_path / "made-by-a-pickle"

    fleet.app.send_task("mulequeue.gather", ([Touch(made)],), serializer="pickle")
    wait_until(lambda: "Refusing to deserialize" in worker.text, what="the refusal")
    fleet.task("user.noop").delay().get(timeout=30)

    assert not made.exists()
