"""Measure the time from the SIGKILL of a worker to the next status check of each generation.

200 generations are checked every 5 s. All processes of the only worker get SIGKILL, and a new worker
is started at once, as by a supervisor. The gap of a generation is the time from the kill to its next
check; up to 5 s of it are the interval. Celery's retry keeps its countdowns in the killed worker's
memory; they are redelivered after the broker's visibility timeout (an hour by default).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from benchmarks.accounting import tree
from benchmarks.figures import percentile
from benchmarks.filling import fill
from benchmarks.fleet import Fleet, pid_of, run_fleet, wait_for
from benchmarks.polls import enqueue
from benchmarks.report import Report
from benchmarks.server import BenchServer
from mulequeue.emulator.child_process import Child

COUNT, INTERVAL_SECONDS = 200, 5.0
KILLS, MAX_GAP_SECONDS, SHORT_SECONDS = 5, 100.0, 20
RETRY = "benchmarks.peers.celery_retry"
Starter = Callable[[Fleet, str], Child]


def run(*, kills: int = KILLS) -> Report:
    """Measure all three at the same time, each on a separate Redis."""

    def ours(fleet: Fleet, name: str) -> Child:
        return fleet.worker(name, "-c", "2")

    def retry(visibility: int) -> Starter:
        env = {"BENCH_VISIBILITY_SECONDS": str(visibility)}
        return lambda fleet, name: fleet.worker(name, "-c", "2", app=RETRY, env=env)

    contenders: dict[str, tuple[Starter, int]] = {
        "mulequeue": (ours, kills),
        f"celery retry, visibility {SHORT_SECONDS} s": (retry(SHORT_SECONDS), 1),
        "celery retry, visibility 3,600 s": (retry(3600), 1),
    }
    with ThreadPoolExecutor(len(contenders)) as pool:
        rows = list(pool.map(lambda item: _row(item[0], *item[1]), contenders.items()))
    notes = [f"A generation without a check in {MAX_GAP_SECONDS:g} s counts as that long."]
    return Report(name="recovery", rows=rows, notes=notes)


def _row(name: str, start: Starter, kills: int) -> dict[str, Any]:
    server = BenchServer()
    gaps: list[float] = []
    try:
        with run_fleet(server.url) as fleet:
            worker = start(fleet, "first")
            if name == "mulequeue":
                fill(fleet.url, fleet.api, 0, COUNT, interval=INTERVAL_SECONDS)
            else:
                enqueue(fleet, RETRY, COUNT)
            for number in range(kills):
                _wait_for_all(server, time.time(), 60)
                time.sleep(1.3 * number)  # at another point of the interval each time
                _kill(worker)
                killed = time.time()
                worker = start(fleet, f"next{number}")
                gaps += _wait_for_all(server, killed, MAX_GAP_SECONDS)
    finally:
        server.stop()
    return {
        "contender": name,
        "kills": kills,
        "gap_p50_seconds": percentile(gaps, 50),
        "gap_p99_seconds": percentile(gaps, 99),
        "gap_max_seconds": max(gaps),
        "later_than_10_s": f"{sum(gap > 10 for gap in gaps) / len(gaps):.1%}",
    }


def _wait_for_all(server: BenchServer, since: float, seconds: float) -> list[float]:
    """Return the time from ``since`` to the next check of each generation, at most ``seconds``."""

    def first_after() -> dict[int, float]:
        found: dict[int, float] = {}
        for number, at in server.checks():
            if at > since:
                found.setdefault(number, at - since)
        return found

    with suppress(SystemExit):
        wait_for(lambda: len(first_after()) >= COUNT, seconds, "all generations to be checked")
    found = first_after()
    return [found.get(number, seconds) for number in range(COUNT)]


def _kill(worker: Child) -> None:
    for process in tree(pid_of(worker)):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not worker.is_running, 10, "the worker's end")
