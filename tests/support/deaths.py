"""What tests do to processes, and what must hold whatever they did."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from support.fleet import Fleet
from support.waiting import wait_until
from support.workers import WorkerProcess

MODEL = "alibaba/wan2.6-t2i"

# Messages of a killed worker come back after ten seconds instead of two minutes.
SHORT_VISIBILITY = """
broker_transport_options = {
    "visibility_timeout": 10, "unacked_restore_interval": 2, "unacked_restore_throttle": 1
}
"""


def freeze(worker: WorkerProcess) -> None:
    """SIGSTOP to the worker and its pool: what a machine that is suspended does."""
    os.killpg(worker.pid, signal.SIGSTOP)


def thaw(worker: WorkerProcess) -> None:
    """SIGCONT to all of them."""
    os.killpg(worker.pid, signal.SIGCONT)


def kill_pool(worker: WorkerProcess) -> None:
    """SIGKILL to the pool's processes alone."""
    for child in worker.children():
        child.kill()


def wait_awake(fleet: Fleet, worker: WorkerProcess) -> None:
    """Until a worker answers a ping, and its pool has done everything it was given."""
    name = f"{worker.name}@test"

    def answers() -> bool:
        inspect = fleet.app.control.inspect(destination=[name], timeout=2)
        active = inspect.active()
        return active is not None and not active[name]

    wait_until(answers, seconds=40, what=f"{name} to be awake and idle")


def generate(fleet: Fleet, prompt: str, **call: Any) -> Any:
    """A generation with fast status checks and its outcome as a value."""
    call = {"poll_interval": 0.5, "on_failure": "return", **call}
    return fleet.task("mulequeue.generate", MODEL, {"prompt": prompt}, **call)


def note(fleet: Fleet, name: str) -> Any:
    """A task that counts, in a file, how often it ran."""
    return fleet.task("user.note", path=str(fleet.folder / name))


def notes(fleet: Fleet, name: str) -> int:
    """How often ``note`` ran."""
    path = fleet.folder / name
    return len(path.read_text().splitlines()) if path.exists() else 0


def assert_paid_once(fleet: Fleet, generations: int = 1) -> None:
    """Each generation was asked for exactly once, and the key went to the API alone."""
    stats = fleet.emulator.stats()
    names = ("creates", "created", "duplicates", "auth_leaks")
    assert (generations, generations, 0, 0) == tuple(stats[name] for name in names)


def stored(fleet: Fleet) -> list[Path]:
    """Files under a final name; what is still being written has a name that starts with a dot."""
    files = fleet.storage.rglob("*") if fleet.storage.exists() else ()
    return [path for path in files if path.is_file() and not path.name.startswith(".")]


def unfinished(fleet: Fleet) -> list[Path]:
    """Files that are being written, or were when their writer died."""
    return list(fleet.storage.rglob(".*.part")) if fleet.storage.exists() else []
