"""The file of a probe is as fresh as the worker's consumer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.fleet import Fleet
from support.waiting import wait_until


def test_a_worker_touches_its_file_until_it_stops(
    make_fleet: Callable[..., Fleet], tmp_path: Path
) -> None:
    """The file appears with the worker, gets newer while it runs, and goes with it."""
    file = tmp_path / "alive"
    fleet = make_fleet(env={"MULEQUEUE_LIVENESS_FILE": str(file)})
    worker = fleet.worker("-c", "1")
    wait_until(file.exists, what="the file to appear")

    first = file.stat().st_mtime_ns
    wait_until(lambda: file.stat().st_mtime_ns > first, what="the file to get newer")
    worker.stop()

    assert not file.exists()
