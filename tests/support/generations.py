"""How tests ask for generations, and look at what a fleet logged meanwhile."""

from __future__ import annotations

import uuid
from typing import Any

from support.fleet import Fleet
from support.waiting import wait_until

MODEL = "alibaba/wan2.6-t2i"
QUICK = ["--without-mingle"]
"""A worker that does not wait a second for its neighbours when it starts."""


def new_id(name: str = "task") -> str:
    """A task id of this test's own."""
    return f"{name}-{uuid.uuid4().hex[:10]}"


def one(fleet: Fleet, prompt: str = "a mule", **call: Any) -> Any:
    """A signature of ``generate`` that is checked every tenth of a second."""
    call = {"poll_interval": 0.1, **call}
    return fleet.task("mulequeue.generate", MODEL, {"prompt": prompt}, **call)


def started(fleet: Fleet, prompt: str = "a mule", **call: Any) -> str:
    """The task id of a generation that the API is working on."""
    task_id = str(one(fleet, prompt, **call).apply_async(task_id=new_id()).id)
    fleet.wait_for_state(task_id, "generating")
    return task_id


class Log:
    """What the workers of a fleet log from now on."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._start = len(fleet.logs)

    @property
    def text(self) -> str:
        return self._fleet.logs[self._start :]

    def wait_for(self, text: str, *, times: int = 1, seconds: float = 20.0) -> None:
        """Until ``text`` was logged that often."""
        wait_until(lambda: self.text.count(text) >= times, seconds=seconds, what=f"{text!r} in log")
