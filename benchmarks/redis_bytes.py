"""Measure the Redis memory of a generation while it runs, and after its end.

It is requested in three ways: alone, in a chain ``generate | download``, and as a member of a batch.
*Ledger* is the memory of mulequeue's keys, *all* is the growth of ``used_memory`` since the empty
fleet, with Celery's results and bookkeeping. Bytes per generation; the prompts have sixty characters.

``python -m benchmarks.redis_bytes [--count N]``
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis

from benchmarks.fleet import wait_for
from mulequeue.emulator.child_process import Child
from mulequeue.emulator.process import EmulatorProcess
from mulequeue.local.embedded_redis import start_redis
from mulequeue.local.processes import temporary_folder

MODEL = "alibaba/wan2.6-t2i"
COUNTS = "mulequeue:{default}:counts"
LIFE_SECONDS = 30.0
"""Duration of a generation: longer than the submission of all of them."""


@contextmanager
def run_fleet() -> Iterator[tuple[Redis, str]]:
    """Run a Redis, an emulator and a worker while the block runs."""
    with temporary_folder() as name, ExitStack() as stack:
        redis, url = start_redis(name)
        stack.callback(redis.stop)
        emulator = stack.enter_context(
            EmulatorProcess(min_seconds=LIFE_SECONDS, max_seconds=LIFE_SECONDS)
        )
        env = {
            **os.environ,
            "MULEQUEUE_REDIS_URL": url,
            "MULEROUTER_BASE_URL": emulator.url,
            "MULEROUTER_API_KEY": "any",
            "MULEQUEUE_STORAGE": f"{name}/files",
        }
        log = Path(name, "worker.log")
        command = [sys.executable, "-m", "celery", "-A", "mulequeue", "worker", "-P", "threads"]
        output = stack.enter_context(log.open("wb"))
        worker = Child("worker", [*command, "-c", "8", "-l", "INFO"], env=env, output=output)
        stack.callback(worker.stop)
        wait_for(lambda: b" ready." in log.read_bytes(), 60, "the worker")
        yield Redis.from_url(url), url


def send(url: str, shape: str, count: int) -> None:
    """Enqueue the generations in one of the three ways."""
    from celery import Celery

    from mulequeue import download, generate, generate_many

    app = Celery("bench")
    app.config_from_object("mulequeue.recommended")
    app.conf.update(broker_url=url, result_backend=url)
    # Garbage-collected results would unsubscribe from a stopped Redis.
    app.backend.remove_pending_result = lambda result: result
    inputs = [
        {"prompt": f"A mule carries parcel {n:06} over the pass at dawn, in oil", "n": 1}
        for n in range(count)
    ]
    if shape == "batch":
        generate_many(MODEL, inputs).apply_async()
        return
    for item in inputs:
        one = generate.s(MODEL, item)
        (one | download.s() if shape == "chain" else one).apply_async()


def measure(shape: str, count: int) -> list[float]:
    """Return bytes per generation: ledger and all in flight, ledger and all when done."""
    with run_fleet() as (redis, url):
        send(url, shape, 1)  # allocates buffers and scripts
        wait_for(lambda: redis.hget(COUNTS, "succeeded") == b"1", 120, "the first outcome")
        time.sleep(1)
        empty = used(redis)
        send(url, shape, count)
        found: list[float] = []
        for field in ("generating", "succeeded"):
            whole = count + (field == "succeeded")
            wait_for(
                lambda field=field, whole=whole: int(redis.hget(COUNTS, field) or 0) == whole,
                120,
                f"{whole} records {field}",
            )
            wait_for(
                lambda: redis.llen("celery") == redis.llen("mulequeue.wake") == 0,
                120,
                "empty queues",
            )
            time.sleep(3)
            found += [ledger(redis) / count, (used(redis) - empty) / count]
        return found


def used(redis: Redis) -> int:
    """Return the memory that Redis uses."""
    return int(redis.info("memory")["used_memory"])


def ledger(redis: Redis) -> int:
    """Return the memory of mulequeue's keys."""
    pipe = redis.pipeline(transaction=False)
    for key in redis.scan_iter("mulequeue:*", count=1000):
        pipe.memory_usage(key, samples=0)
    return sum(size or 0 for size in pipe.execute())


def main() -> None:
    """Measure the three ways and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    print(f"{'':8}{'in flight':^20}{'done':^20}")
    print(f"{'':8}" + f"{'ledger':>10}{'all':>10}" * 2)
    for shape in ("alone", "chain", "batch"):
        print(f"{shape:8}" + "".join(f"{value:10,.0f}" for value in measure(shape, count)))


if __name__ == "__main__":
    main()
