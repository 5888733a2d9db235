"""How late are status checks, and what do thousands of waiting generations weigh?

One worker (``-c 2``, all queues), generations that never end, a status check every 5 seconds; first
1,000 in flight, then 10,000. Beside it an idle worker with mulequeue and one without.

* **lateness** is taken from the API's side: the time between two arrivals of the same generation,
  less 4.5 s, the earliest that the jitter of 10 % allows. So it is an upper bound: a check that came
  exactly when it was due shows as 0 to 1 s.
* **worker memory** is the RSS of the worker's processes added up.
* **Redis memory** is ``used_memory`` against the empty fleet, per generation: the ledger, Celery's
  results, everything. *Ledger alone* adds up ``MEMORY USAGE`` of the ledger's keys.
* **idle commands** are what one idle worker sends Redis within 20 s, as Redis' MONITOR shows them;
  kombu's own BRPOP is counted apart.

``python -m benchmarks.in_flight [--json] [--few N] [--many N]``; about four minutes on four cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from redis import Redis

from benchmarks.server import BenchServer
from mulequeue.embedded_redis import start_redis
from mulequeue.processes import Child, temporary_folder

MODEL = "alibaba/wan2.6-t2i"
INTERVAL_SECONDS = 5.0
JITTER = 0.1
SETTLE_SECONDS, WINDOW_SECONDS, IDLE_SECONDS = 12.0, 22.0, 20.0
MEBI = 1024**2


class Workers:
    """Celery workers on one Redis, with a log each."""

    def __init__(self, stack: ExitStack, folder: Path, url: str, api: str) -> None:
        self._stack, self._folder = stack, folder
        self._env = {
            "MULEQUEUE_REDIS_URL": url,
            "MULEROUTER_API_KEY": "sk-mr-benchmark",
            "MULEROUTER_BASE_URL": api,
            "PYTHONPATH": os.getcwd(),
        }

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Start one and wait until it consumes."""
        log = self._folder / f"{name}.log"
        output = self._stack.enter_context(log.open("wb"))
        child = Child(name, command, env=self._env, cwd=self._folder, output=output)
        self._stack.callback(child.stop)
        wait_for(lambda: b" ready." in log.read_bytes(), 60, f"worker {name}: {log}")
        return child


def worker_command(*options: str) -> list[str]:
    """A worker with mulequeue, as a user starts it."""
    return [sys.executable, "-m", "celery", "-A", "mulequeue", "worker", "-l", "INFO", *options]


def wait_for(look: Callable[[], Any], seconds: float, what: str) -> None:
    """Until it is true; ends the program when it takes too long."""
    ends = time.monotonic() + seconds
    while not look():
        if time.monotonic() > ends:
            raise SystemExit(f"Waited {seconds:g} s in vain for {what}.")
        time.sleep(0.2)


def rss_bytes(worker: Child) -> int:
    """Of the worker's main process and its pool."""
    processes = psutil.Process(worker.process.pid).children(recursive=True)
    return sum(process.memory_info().rss for process in processes)


def cpu_seconds(worker: Child) -> float:
    """Of the same processes, since they started."""
    processes = psutil.Process(worker.process.pid).children(recursive=True)
    times = [process.cpu_times() for process in processes]
    return sum(item.user + item.system for item in times)


def ledger_bytes(redis: Redis) -> int:
    """Of all keys of the ledger."""
    pipe = redis.pipeline(transaction=False)
    for key in redis.scan_iter("mulequeue:*", count=1000):
        pipe.memory_usage(key, samples=0)
    return sum(size or 0 for size in pipe.execute())  # some are gone again


def lateness(arrivals: dict[str, list[float]], since: float) -> list[float]:
    """Seconds, of every check after ``since``, at most."""
    earliest = INTERVAL_SECONDS * (1 - JITTER)
    return [
        max(later - earlier - earliest, 0.0)
        for times in arrivals.values()
        for earlier, later in pairwise(times[1:])
        if later >= since
    ]


def percentile(values: list[float], percent: int) -> float:
    """Of at least two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def send(url: str, first: int, last: int) -> None:
    """Enqueue generations, as a web application would."""
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


class InFlight:
    """Generations in flight on one worker; more are added step by step."""

    def __init__(self, workers: Workers, url: str, server: BenchServer) -> None:
        self._workers, self._url, self._server = workers, url, server
        self.redis = Redis.from_url(url)
        self.worker = workers.start("measured", worker_command("-c", "2"))
        send(url, 0, 1)  # everything that is loaded at first use is loaded
        wait_for(lambda: server.created == 1, 30, "the first generation")
        self._count = 1
        self._empty_bytes = self._used_bytes()

    def _used_bytes(self) -> int:
        info: dict[str, Any] = self.redis.info("memory")  # type: ignore[assignment]
        return int(info["used_memory"])

    def grow_to(self, count: int) -> None:
        """Until so many are in flight; a second worker helps to submit and is gone then."""
        options = ("-n", "helper@bench", "-c", str(os.cpu_count()), "-Q", "celery")
        helper = self._workers.start(f"submitting{count}", worker_command(*options))
        send(self._url, self._count, count)
        wait_for(lambda: self._server.created >= count, 150, f"{count} creates")
        key = "mulequeue:{default}:counts"
        wait_for(
            lambda: int(self.redis.hget(key, "generating") or 0) == count, 30, f"{count} records"
        )
        helper.stop()
        self._count = count

    def measure(self) -> dict[str, Any]:
        """Figures of a while at this size."""
        time.sleep(SETTLE_SECONDS)
        since, cpu = time.time(), cpu_seconds(self.worker)
        time.sleep(WINDOW_SECONDS)
        cpu = cpu_seconds(self.worker) - cpu
        memory = self._used_bytes() - self._empty_bytes
        late = lateness(self._server.arrivals(), since)
        return {
            "in_flight": self._count,
            "checks_per_second": len(late) / WINDOW_SECONDS,
            "lateness_p50_seconds": percentile(late, 50),
            "lateness_p99_seconds": percentile(late, 99),
            "lateness_max_seconds": max(late),
            "worker_cpu_percent": 100 * cpu / WINDOW_SECONDS,
            "worker_cpu_ms_per_check": 1000 * cpu / len(late),
            "worker_rss_mib": rss_bytes(self.worker) / MEBI,
            "redis_bytes_per_generation": memory / self._count,
            "ledger_bytes_per_generation": ledger_bytes(self.redis) / self._count,
        }


@contextmanager
def fleet(server: BenchServer) -> Iterator[tuple[Workers, str]]:
    """A Redis of its own and a place for workers."""
    with temporary_folder() as name, ExitStack() as stack:
        redis, url = start_redis(name)
        stack.callback(redis.stop)
        yield Workers(stack, Path(name), url, server.url), url


def idle_commands(server: BenchServer, command: Sequence[str]) -> dict[str, float]:
    """Redis commands a second that one idle worker sends, by name."""
    with fleet(server) as (workers, url):
        workers.start("idle", command)
        time.sleep(3)
        calls = _sent(url, IDLE_SECONDS)
    return {name: count / IDLE_SECONDS for name, count in calls.most_common()}


def _sent(url: str, seconds: float) -> Counter[str]:
    """Commands that clients send within a time; what scripts call is no command of a client."""
    calls: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    with Redis.from_url(url).monitor() as monitor:
        Redis.from_url(url).ping()  # the monitor answers
        for seen in monitor.listen():
            if time.monotonic() >= ends:
                break
            if seen["client_type"] != "lua":
                calls[seen["command"].split()[0].upper()] += 1
    del calls["PING"]
    return calls


def run(few: int, many: int) -> dict[str, Any]:
    """All figures."""
    server = BenchServer()
    try:
        with fleet(server) as (workers, url):
            bench = InFlight(workers, url, server)
            sizes = []
            for count in (few, many):
                bench.grow_to(count)
                sizes.append(bench.measure())
        idle = {
            "with mulequeue": idle_commands(server, worker_command("-c", "2")),
            "without": idle_commands(server, [sys.executable, "-m", "benchmarks.plain_app"]),
        }
    finally:
        server.stop()
    growth = sizes[1]["worker_rss_mib"] - sizes[0]["worker_rss_mib"]
    return {"cores": os.cpu_count(), "sizes": sizes, "rss_growth_mib": growth, "idle": idle}


def table(figures: dict[str, Any]) -> str:
    """For people."""
    few, many = figures["sizes"]
    lines = [f"{'':34}{few['in_flight']:>12,}{many['in_flight']:>12,}   in flight"]
    for name in list(few)[1:]:
        lines.append(f"{name.replace('_', ' '):34}{few[name]:12.2f}{many[name]:12.2f}")
    lines.append(f"{'worker rss growth mib':34}{'':12}{figures['rss_growth_mib']:12.2f}")
    lines.append("")
    for name, counts in figures["idle"].items():
        own = sum(counts.values()) - counts.get("BRPOP", 0)
        said = ", ".join(f"{key} {value:.2f}" for key, value in counts.items())
        lines.append(f"idle worker {name}: {own:.2f} commands a second and BRPOP ({said})")
    lines.append(f"{figures['cores']} cores")
    return "\n".join(lines)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--many", type=int, default=10_000)
    options = parser.parse_args()
    figures = run(options.few, options.many)
    print(json.dumps(figures, indent=1) if options.json else table(figures))


if __name__ == "__main__":
    main()
