"""Measure speed and memory of ``download``, compared with curl in the same run.

One file of 1 GiB, and 500 files of 2 MiB on a worker with four processes. curl gets the same files from
the same server into the same file system, the small ones four at a time. Each file is one Celery
message, so the same number of messages that do nothing is measured too, as the upper limit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.accounting import MEBI
from benchmarks.fleet import Fleet, rss_of, run_fleet
from benchmarks.pictures import write_png
from benchmarks.report import Report
from benchmarks.server import BenchServer, Plan
from mulequeue.emulator.child_process import Child
from mulequeue.local.processes import temporary_folder

LARGE_BYTES, SMALL_BYTES, SMALL_COUNT = 1024 * MEBI, 2 * MEBI, 500
AT_ONCE, ROUNDS = 4, 3
_SEND = """
import time, uuid
from celery import group
from benchmarks.marking import app, noop
from mulequeue import download
from mulequeue.outcome import Asset, Outcome
def outcome(number):
    asset = Asset(url=%r, kind="image")
    return Outcome(task_id=str(uuid.uuid4()), remote_id=f"r{number}", model="bench", profile="default",
        api_path="/vendors/bench/generation", status="succeeded", kind="image", assets=(asset,)).to_dict()
started = time.time()
group(%s.s(outcome(number)) for number in range(%d)).apply_async().get(timeout=300, interval=0.02)
print(started, time.time())
"""


def run(*, large: int = LARGE_BYTES, small: int = SMALL_COUNT) -> Report:
    """Measure the large file, then the small ones."""
    with temporary_folder() as folder:
        write_png(Path(folder, "large.png"), large)
        write_png(Path(folder, "small.png"), SMALL_BYTES)
        server = BenchServer(Plan(files=folder))
        try:
            rows = [
                *_pair(server, "large.png", large, 1),
                *_pair(server, "small.png", SMALL_BYTES, small),
            ]
        finally:
            server.stop()
    speed = {row["what"]: row["mb_per_second"] for row in rows}
    others = [(row["what"].partition(",")[0], row["what"]) for row in rows if "," in row["what"]]
    ratios = {other.replace(",", " /"): speed[ours] / speed[other] for ours, other in others}
    return Report(name="download", rows=rows, ratios=ratios)


def _pair(server: BenchServer, name: str, size: int, count: int) -> list[dict[str, Any]]:
    """Measure all contenders in turns, and return the median run of each.

    Whether a file comes from the page cache makes a factor of two.
    """
    what, url = f"{count} × {size // MEBI} MiB", f"{server.url}/files/{name}"
    ours, messages, curls = [], [], []
    with run_fleet(server.url) as fleet:
        worker = fleet.worker("worker", "-c", str(AT_ONCE), app="benchmarks.marking")
        _send(fleet, f"{server.url}/files/small.png", AT_ONCE * 2)  # warm up
        _curl(url, size, count)
        for _ in range(ROUNDS):
            ours.append(_ours(fleet, worker, url, size, count))
            messages.append(_ours(fleet, worker, url, size, count, task="noop"))
            curls.append(_curl(url, size, count))
    rows = {what: ours, f"{what}, messages that do nothing": messages, f"{what}, curl": curls}
    return [
        {"what": name, **_middle(runs)}
        for name, runs in rows.items()
        if count > 1 or runs is not messages
    ]


def _middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return sorted(runs, key=lambda run: run["mb_per_second"])[len(runs) // 2]


def _ours(
    fleet: Fleet, worker: Child, url: str, size: int, count: int, *, task: str = "download"
) -> dict[str, Any]:
    before, peak = rss_of(worker), Peak(lambda: rss_of(worker))
    meter = fleet.meter(worker)
    seconds = _send(fleet, url, count, task)
    meter.stop()
    growth = peak.stop() - before
    shutil.rmtree(fleet.folder / "files", ignore_errors=True)
    return {
        "mb_per_second": size * count / seconds / 1e6,
        "cpu_seconds_per_gib": meter.cpu * 1024 * MEBI / (size * count),
        "rss_growth_mib": growth,
    }


def _send(fleet: Fleet, url: str, count: int, task: str = "download") -> float:
    environment = {**os.environ, **fleet.env}
    command = [sys.executable, "-c", _SEND % (url, task, count)]
    sent = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if sent.returncode:
        raise SystemExit(sent.stderr[-2000:] + fleet.log("worker")[-2000:])
    started, ended = sent.stdout.split()
    return float(ended) - float(started)


def _curl(url: str, size: int, count: int) -> dict[str, Any]:
    with temporary_folder() as folder:
        config = Path(folder, "curl.txt")
        lines = (f'url = "{url}"\noutput = "{folder}/{number}"\n' for number in range(count))
        config.write_text("".join(lines))
        command = [
            "curl",
            "--no-progress-meter",
            "-f",
            "-Z",
            "--parallel-max",
            str(AT_ONCE),
            "-K",
            str(config),
        ]
        before, started = os.times(), time.monotonic()
        subprocess.run(command, check=True)
        seconds, after = time.monotonic() - started, os.times()
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return {
        "mb_per_second": size * count / seconds / 1e6,
        "cpu_seconds_per_gib": cpu * 1024 * MEBI / (size * count),
    }


class Peak:
    """Samples a value every 50 ms and keeps the largest one."""

    def __init__(self, read: Callable[[], float]) -> None:
        self._read, self._most = read, read()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self._most = max(self._most, self._read())

    def stop(self) -> float:
        """Stop sampling and return the largest value."""
        self._stop.set()
        self._thread.join()
        return self._most
