"""How much room a generation takes in Redis: while it runs, and after it is done.

Three ways of asking for it: alone, ``generate | download`` one by one, and as members of a batch.
*Ledger* is the memory of mulequeue's own keys, *all* is ``used_memory`` against the empty fleet, with
Celery's results and bookkeeping. Bytes per generation; the prompts have sixty characters.

``python -m benchmarks.redis_bytes [--count N]``
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from mulequeue.emulator.process import EmulatorProcess
from mulequeue.local.embedded_redis import start_redis
from mulequeue.local.processes import Child, temporary_folder

MODEL = "alibaba/wan2.6-t2i"
COUNTS = "mulequeue:{default}:counts"
LIFE_SECONDS = 30.0
"""Of a generation: longer than it takes to submit all of them."""


@contextmanager
def fleet() -> Iterator[tuple[Redis, str]]:
    """A Redis, an emulator and a worker of their own."""
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
        wait_for(lambda: b" ready." in log.read_bytes(), 60)
        yield Redis.from_url(url), url


def wait_for(look: Callable[[], Any], seconds: float) -> None:
    """Until it is true; ends the program when it takes too long."""
    ends = time.monotonic() + seconds
    while not look():
        if time.monotonic() > ends:
            raise SystemExit(f"Waited {seconds:g} s in vain.")
        time.sleep(0.2)


def send(url: str, shape: str, count: int) -> None:
    """Enqueue the generations in one of the three ways."""
    from celery import Celery

    from mulequeue import download, generate, generate_many

    app = Celery("bench")
    app.config_from_object("mulequeue.recommended")
    app.conf.update(broker_url=url, result_backend=url)
    # Results that are thrown away would be unsubscribed from a Redis that is gone.
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
    """Bytes per generation: ledger and all in flight, ledger and all when done."""
    with fleet() as (redis, url):
        send(url, shape, 1)  # buffers and scripts that are there once
        wait_for(lambda: redis.hget(COUNTS, "succeeded") == b"1", 120)
        time.sleep(1)
        empty = used(redis)
        send(url, shape, count)
        found: list[float] = []
        for field in ("generating", "succeeded"):
            whole = count + (field == "succeeded")
            wait_for(
                lambda field=field, whole=whole: int(redis.hget(COUNTS, field) or 0) == whole, 120
            )
            wait_for(lambda: redis.llen("celery") == redis.llen("mulequeue.wake") == 0, 120)
            time.sleep(3)
            found += [ledger(redis) / count, (used(redis) - empty) / count]
        return found


def used(redis: Redis) -> int:
    """All memory of Redis' data."""
    return int(redis.info("memory")["used_memory"])


def ledger(redis: Redis) -> int:
    """Of mulequeue's keys."""
    pipe = redis.pipeline(transaction=False)
    for key in redis.scan_iter("mulequeue:*", count=1000):
        pipe.memory_usage(key, samples=0)
    return sum(size or 0 for size in pipe.execute())


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    print(f"{'':8}{'in flight':^20}{'done':^20}")
    print(f"{'':8}" + f"{'ledger':>10}{'all':>10}" * 2)
    for shape in ("alone", "chain", "batch"):
        print(f"{shape:8}" + "".join(f"{value:10,.0f}" for value in measure(shape, count)))


if __name__ == "__main__":
    main()
