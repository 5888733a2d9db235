"""Measure the CPU of one status check in steady state, compared with other ways to wait.

Each contender waits for the same number of generations that never end and checks each every 5 s. The
CPU time is the sum over all processes of the contender; that of Redis is listed separately.

* ``floor``: an aiohttp loop that only polls (also on uvloop, if installed, and over mulequeue's
  status connections).
* ``mulequeue``: a poller process, including records, claims, schedule, leases and the Celery task.
* ``celery retry``: if it cannot keep the interval, it is measured at the rate that it reaches.
* ``celery sleep``: 16 slots, so 16 generations in flight.
* ``arq``: with free slots for as many generations again, and with all slots taken, when it no longer
  polls its queue. It needs a separate environment, see ``make bench``.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.filling import fill
from benchmarks.fleet import TOP, Fleet, rss_of, run_fleet, wait_for
from benchmarks.report import Report
from benchmarks.server import BenchServer, make_id
from mulequeue.emulator.child_process import Child

IN_FLIGHT, INTERVAL_SECONDS = 5000, 5.0
SLOTS = 16
START_SECONDS = 20.0
PEERS_PYTHON = TOP / ".venv-peers/bin/python"


def run(
    *,
    count: int = IN_FLIGHT,
    settle: float = 5.0,
    window: float = 10.0,
    only: str = "",
    peers_python: str = str(PEERS_PYTHON),
) -> Report:
    """Measure all contenders, one after the other."""
    rows = []
    for name, start in contenders(count, peers_python).items():
        if only and name not in only.split(","):
            continue
        server = BenchServer()
        try:
            with run_fleet(server.url) as fleet:
                rows.append({"contender": name, **_measure(fleet, server, start, settle, window)})
        finally:
            server.stop()
    return report(rows)


def _measure(
    fleet: Fleet,
    server: BenchServer,
    start: Callable[[Fleet], tuple[Child, int]],
    settle: float,
    window: float,
) -> dict[str, Any]:
    child, in_flight = start(fleet)
    wait_for(lambda: server.polls >= min(in_flight, 1000), 120, "the first checks")
    with suppress(SystemExit):  # a contender that cannot keep up is measured at its own rate
        wait_for(lambda: len(server.arrivals()) >= in_flight, START_SECONDS, "all to be checked")
    time.sleep(settle)
    meter, before = fleet.meter(child), server.polls
    time.sleep(window)
    meter.stop()
    polls = server.polls - before
    return {
        "in_flight": in_flight,
        "polls_per_second": polls / meter.seconds,
        "cpu_ms_per_poll": 1000 * meter.cpu / polls,
        "redis_ms_per_poll": 1000 * meter.redis_cpu / polls,
        "rss_mib": rss_of(child),
    }


def contenders(count: int, peers_python: str) -> dict[str, Callable[[Fleet], tuple[Child, int]]]:
    """Return by name the function that starts a contender with ``count`` generations in flight."""

    def bare(fleet: Fleet, **kind: str) -> tuple[Child, int]:
        return start_bare(fleet, count, **kind), count

    def ours(fleet: Fleet) -> tuple[Child, int]:
        fill(fleet.url, fleet.api, 0, count, interval=INTERVAL_SECONDS)
        return fleet.poller(), count

    def retry(fleet: Fleet) -> tuple[Child, int]:
        enqueue(fleet, "benchmarks.peers.celery_retry", count)
        return fleet.worker("retry", "-c", "4", app="benchmarks.peers.celery_retry"), count

    def sleep(fleet: Fleet) -> tuple[Child, int]:
        enqueue(fleet, "benchmarks.peers.celery_sleep", SLOTS)
        return fleet.worker("sleep", "-c", str(SLOTS), app="benchmarks.peers.celery_sleep"), SLOTS

    def arq(fleet: Fleet, slots: int) -> tuple[Child, int]:
        return start_arq(fleet, peers_python, count, slots), count

    found = {
        "floor": bare,
        "mulequeue": ours,
        "floor on mulequeue's connections": lambda fleet: bare(fleet, client="pool"),
        "celery retry": retry,
        "celery sleep": sleep,
    }
    if importlib.util.find_spec("uvloop"):
        found["floor on uvloop"] = lambda fleet: bare(fleet, loop="uvloop")
    if Path(peers_python).exists():
        found["arq"] = lambda fleet: arq(fleet, 2 * count)
        found["arq, full"] = lambda fleet: arq(fleet, count)
    else:
        print(f"arq is skipped: {peers_python} is missing (make bench makes it)", file=sys.stderr)
    return found


def start_bare(fleet: Fleet, count: int, *, loop: str = "", client: str = "") -> Child:
    """Start status checks without anything else, on that event loop and with that client."""
    command = [sys.executable, "-m", "benchmarks.peers.bare_loop"]
    return fleet.start(
        "floor",
        [*command, str(count), str(INTERVAL_SECONDS)],
        env={"BENCH_LOOP": loop, "BENCH_CLIENT": client},
    )


def start_arq(fleet: Fleet, python: str, count: int, slots: int) -> Child:
    """Start arq, with the jobs enqueued before its worker starts."""
    command = [python, "-m", "benchmarks.peers.arq_coroutines"]
    sent = fleet.start("enqueue", [*command, "enqueue", str(count)])
    wait_for(lambda: not sent.is_running, 60, "arq's jobs to be enqueued")
    return fleet.start("arq", [*command, "work"], env={"BENCH_SLOTS": str(slots)})


def enqueue(fleet: Fleet, app: str, count: int) -> None:
    """Enqueue the tasks of a Celery contender, one per generation."""
    code = (
        f"import sys; from {app} import app, wait\n"
        "with app.producer_pool.acquire() as producer:\n"
        "    for remote_id in sys.stdin.read().split():\n"
        "        wait.apply_async((remote_id,), producer=producer)\n"
    )
    ids = "\n".join(make_id(number, None) for number in range(count))
    env = {**os.environ, **fleet.env}
    subprocess.run([sys.executable, "-c", code], input=ids, text=True, env=env, check=True)


def report(rows: list[dict[str, Any]]) -> Report:
    """Return the report, with the ratio of each contender to mulequeue in this run."""
    by = {row["contender"]: row["cpu_ms_per_poll"] for row in rows}
    ratios = {
        f"{name} / mulequeue": value / by["mulequeue"]
        for name, value in by.items()
        if "mulequeue" in by and name != "mulequeue"
    }
    return Report(name="polls", rows=rows, ratios=ratios)
