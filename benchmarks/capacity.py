"""Measure how many generations one poller process can wait for, and their memory.

Generations that never end are checked every 5 s by one poller
(``-c 1 -Q mulequeue.poll,mulequeue.wake``); their number grows step by step. Lateness is the time from
due to arrival (:mod:`benchmarks.lateness`).
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.figures import percentile
from benchmarks.filling import fill
from benchmarks.fleet import Fleet, rss_of, run_fleet, wait_for
from benchmarks.lateness import DueTimes, lateness
from benchmarks.report import Report
from benchmarks.server import BenchServer
from mulequeue.emulator.child_process import Child

SIZES = (1_000, 10_000, 50_000, 75_000)
INTERVAL_SECONDS = 5.0
SETTLE_SECONDS, WINDOW_SECONDS = 10.0, 15.0


def run(*, sizes: tuple[int, ...] = SIZES) -> Report:
    """Measure all sizes with the same worker."""
    server = BenchServer()
    try:
        with run_fleet(server.url) as fleet:
            empty, count, rows = fleet.used_bytes(), 0, []
            fill(fleet.url, fleet.api, 0, 1, interval=INTERVAL_SECONDS)
            poller = fleet.poller()
            wait_for(lambda: server.polls, 30, "the first check")
            for size in sizes:
                fill(fleet.url, fleet.api, max(count, 1), size, interval=INTERVAL_SECONDS)
                count = size
                rows.append(_measure(fleet, server, poller, count, empty))
    finally:
        server.stop()
    return _report(rows)


def _measure(
    fleet: Fleet, server: BenchServer, poller: Child, count: int, empty: int
) -> dict[str, Any]:
    time.sleep(SETTLE_SECONDS)
    due, since = DueTimes(fleet.url, count), time.time()
    meter, before, commands = fleet.meter(poller), server.polls, fleet.commands()
    time.sleep(WINDOW_SECONDS)
    meter.stop()
    polls, commands = server.polls - before, fleet.commands() - commands
    due.stop()
    late = list(lateness(due.of, server.arrivals(), since))
    return {
        "in_flight": count,
        "polls_per_second": polls / meter.seconds,
        "lateness_p50_seconds": percentile(late, 50),
        "lateness_p99_seconds": percentile(late, 99),
        "lateness_max_seconds": max(late),
        "cpu_percent": 100 * meter.cpu / meter.seconds,
        "cpu_ms_per_poll": 1000 * meter.cpu / polls,
        "redis_cpu_percent": 100 * meter.redis_cpu / meter.seconds,
        "redis_ms_per_poll": 1000 * meter.redis_cpu / polls,
        "redis_commands_per_second": commands / meter.seconds,
        "redis_bytes_per_generation": (fleet.used_bytes() - empty) / count,
        "rss_mib": rss_of(poller),
    }


def _report(rows: list[dict[str, Any]]) -> Report:
    kept = [row["in_flight"] for row in rows if row["lateness_p99_seconds"] <= 1.0]
    growth = {row["in_flight"]: row["rss_mib"] - rows[0]["rss_mib"] for row in rows[1:]}
    return Report(
        name="capacity",
        rows=rows,
        ratios={"most in flight with p99 lateness <= 1 s": float(max(kept, default=0))},
        notes=[
            f"RSS from {rows[0]['in_flight']:,} to {size:,}: {more:+.1f} MiB"
            for size, more in growth.items()
        ],
    )
