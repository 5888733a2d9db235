"""Measure the status checks per second of one poller process, and of two.

One sweep runs at a time in a fleet, so the second process is a reserve. More checks are due than can be made
(50,000 in flight, every 2 s); the bench server and Redis run on the same cores.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.accounting import cpu_seconds
from benchmarks.filling import fill
from benchmarks.fleet import run_fleet
from benchmarks.report import Report
from benchmarks.server import BenchServer

WORKERS = (1, 2)
IN_FLIGHT, INTERVAL_SECONDS = 50_000, 2.0
SETTLE_SECONDS, WINDOW_SECONDS = 8.0, 10.0


def run(*, workers: tuple[int, ...] = WORKERS) -> Report:
    """Measure each number of workers on a separate fleet."""
    rows = [_measure(count) for count in workers]
    one = rows[0]["polls_per_second"]
    ratios = {f"{row['workers']} / 1": row["polls_per_second"] / one for row in rows[1:]}
    return Report(name="scale", rows=rows, ratios=ratios)


def _measure(count: int) -> dict[str, Any]:
    server = BenchServer()
    try:
        with run_fleet(server.url) as fleet:
            fill(fleet.url, fleet.api, 0, IN_FLIGHT, interval=INTERVAL_SECONDS)
            pollers = [fleet.poller(f"poller{number}") for number in range(count)]
            time.sleep(SETTLE_SECONDS)
            meter, before = fleet.meter(*pollers), server.polls
            server_cpu = cpu_seconds([server.pid])
            time.sleep(WINDOW_SECONDS)
            meter.stop()
            server_cpu = cpu_seconds([server.pid]) - server_cpu
            polls = server.polls - before
    finally:
        server.stop()
    return {
        "workers": count,
        "polls_per_second": polls / meter.seconds,
        "workers_cpu_percent": 100 * meter.cpu / meter.seconds,
        "redis_cpu_percent": 100 * meter.redis_cpu / meter.seconds,
        "server_cpu_percent": 100 * server_cpu / meter.seconds,
        "cpu_ms_per_poll": 1000 * meter.cpu / polls,
    }
