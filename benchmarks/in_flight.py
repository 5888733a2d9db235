"""Measure the lateness of status checks and the memory of thousands of real submissions.

One worker (``-c 2``, all queues) checks generations that never end every 5 seconds: first 1,000 in
flight, then 10,000, all submitted as by a web application. An idle worker with mulequeue and one
without are measured too.

* **lateness** is measured at the API: the time between two arrivals of the same generation, less
  4.5 s, the shortest interval that the jitter of 10 % allows. It is an upper bound: a check that
  arrives exactly when it is due counts as 0 to 1 s late.
* **worker memory** is the sum of the RSS of the worker's processes.
* **Redis memory** is the growth of ``used_memory`` since the empty fleet, per generation, including
  Celery's results. *Ledger alone* is the sum of ``MEMORY USAGE`` of the ledger's keys.
* **idle commands** are the commands that one idle worker sends to Redis within 20 s, as shown by
  Redis' MONITOR; kombu's BRPOP is counted separately.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from redis import Redis

from benchmarks.figures import percentile
from benchmarks.fleet import MODEL, Fleet, rss_of, run_fleet, wait_for
from benchmarks.report import Report
from benchmarks.server import BenchServer

FEW, MANY = 1000, 10_000
INTERVAL_SECONDS = 5.0
JITTER = 0.1
SETTLE_SECONDS, WINDOW_SECONDS, IDLE_SECONDS = 12.0, 22.0, 20.0


def run(*, few: int = FEW, many: int = MANY) -> Report:
    """Measure both sizes and the idle workers."""
    server = BenchServer()
    try:
        with run_fleet(server.url) as fleet:
            bench = InFlight(fleet, server)
            rows = []
            for count in (few, many):
                bench.grow_to(count)
                rows.append(bench.measure())
        notes = [
            _idle_note(
                "with mulequeue",
                server,
                ["-m", "celery", "-A", "mulequeue", "worker", "-l", "INFO", "-c", "2"],
            ),
            _idle_note("without", server, ["-m", "benchmarks.plain_app"]),
        ]
    finally:
        server.stop()
    growth = rows[1]["worker_rss_mib"] - rows[0]["worker_rss_mib"]
    notes.insert(0, f"worker RSS grows by {growth:.1f} MiB")
    return Report(name="in_flight", rows=rows, notes=notes)


class InFlight:
    """Generations in flight on one worker; more are added step by step."""

    def __init__(self, fleet: Fleet, server: BenchServer) -> None:
        self._fleet, self._server = fleet, server
        self.worker = fleet.worker("measured", "-c", "2")
        send(fleet.url, 0, 1)  # warm up
        wait_for(lambda: server.created == 1, 30, "the first generation")
        self._count = 1
        self._empty_bytes = fleet.used_bytes()

    def grow_to(self, count: int) -> None:
        """Submit until ``count`` generations are in flight; a temporary second worker helps."""
        processes = str(os.cpu_count())
        helper = self._fleet.worker(f"helper{count}", "-c", processes, "-Q", "celery")
        send(self._fleet.url, self._count, count)
        wait_for(lambda: self._server.created >= count, 150, f"{count} creates")
        wait_for(lambda: self._fleet.counts().get("generating") == count, 30, f"{count} records")
        helper.stop()
        self._count = count

    def measure(self) -> dict[str, Any]:
        """Measure for 22 s at this size."""
        time.sleep(SETTLE_SECONDS)
        since, meter = time.time(), self._fleet.meter(self.worker)
        time.sleep(WINDOW_SECONDS)
        meter.stop()
        memory = self._fleet.used_bytes() - self._empty_bytes
        late = lateness(self._server.arrivals(), since)
        return {
            "in_flight": self._count,
            "checks_per_second": len(late) / WINDOW_SECONDS,
            "lateness_p50_seconds": percentile(late, 50),
            "lateness_p99_seconds": percentile(late, 99),
            "lateness_max_seconds": max(late),
            "worker_cpu_percent": 100 * meter.cpu / meter.seconds,
            "worker_cpu_ms_per_check": 1000 * meter.cpu / len(late),
            "worker_rss_mib": rss_of(self.worker),
            "redis_bytes_per_generation": memory / self._count,
            "ledger_bytes_per_generation": ledger_bytes(self._fleet.redis) / self._count,
        }


def ledger_bytes(redis: Redis) -> int:
    """Return the memory of all keys of the ledger."""
    pipe = redis.pipeline(transaction=False)
    for key in redis.scan_iter("mulequeue:*", count=1000):
        pipe.memory_usage(key, samples=0)
    return sum(size or 0 for size in pipe.execute())  # None: the key has been deleted


def lateness(arrivals: dict[int, list[float]], since: float) -> list[float]:
    """Return upper bounds of the lateness in seconds, of each check after ``since``."""
    earliest = INTERVAL_SECONDS * (1 - JITTER)
    return [
        max(later - earlier - earliest, 0.0)
        for times in arrivals.values()
        for earlier, later in pairwise(times)
        if later >= since
    ]


def send(url: str, first: int, last: int) -> None:
    """Enqueue generations, as a web application does."""
    from celery import Celery

    app = Celery("bench")
    app.config_from_object("mulequeue.recommended")
    app.conf.update(broker_url=url, result_backend=url)
    task = app.signature("mulequeue.generate")
    with app.producer_pool.acquire() as producer:
        for number in range(first, last):
            call = {"poll_interval": INTERVAL_SECONDS, "max_wait": 3600}
            prompt = f"A mule carries parcel number {number} over the pass at dawn, oil on canvas"
            signature = task.clone(args=(MODEL, {"prompt": prompt}), kwargs=call)
            signature.apply_async(producer=producer, ignore_result=True)
    app.close()


def _idle_note(name: str, server: BenchServer, command: Sequence[str]) -> str:
    """Return the Redis commands per second of one idle worker, by name, as a text."""
    with run_fleet(server.url) as fleet:
        fleet.start("idle", [sys.executable, *command], ready=b" ready.")
        time.sleep(3)
        calls = _sent(fleet.url, IDLE_SECONDS)
    rates = {key: count / IDLE_SECONDS for key, count in calls.most_common()}
    own = sum(rates.values()) - rates.get("BRPOP", 0)
    listed = ", ".join(f"{key} {value:.2f}" for key, value in rates.items())
    return f"idle worker {name}: {own:.2f} commands per second and BRPOP ({listed})"


def _sent(url: str, seconds: float) -> Counter[str]:
    """Count the commands that clients send within a period, without the commands in scripts."""
    calls: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    with Redis.from_url(url).monitor() as monitor:
        Redis.from_url(url).ping()  # gives the monitor a first command
        for seen in monitor.listen():
            if time.monotonic() >= ends:
                break
            if seen["client_type"] != "lua":
                calls[seen["command"].split()[0].upper()] += 1
    del calls["PING"]
    return calls
