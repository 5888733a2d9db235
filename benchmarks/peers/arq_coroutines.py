"""arq, one coroutine per generation that sleeps on the worker's event loop.

``python -m benchmarks.peers.arq_coroutines enqueue COUNT`` or ``… work``, with the Python of an
environment that has arq (it does not support the current redis-py).
"""

import asyncio
import os
import sys

import aiohttp
from arq import create_pool, run_worker
from arq.connections import RedisSettings

from benchmarks.server import make_id

REDIS = RedisSettings.from_dsn(os.environ["BENCH_REDIS"])


async def wait(context: dict, remote_id: str) -> dict:  # type: ignore[type-arg]
    url = f"{os.environ['BENCH_API']}/vendors/peer/generation/{remote_id}"
    while True:
        async with context["session"].get(url) as answer:
            body = await answer.json()
        if body["task_info"]["status"] == "completed":
            return dict(body)
        await asyncio.sleep(5)


async def startup(context: dict) -> None:  # type: ignore[type-arg]
    context["session"] = aiohttp.ClientSession()


class WorkerSettings:
    functions = (wait,)
    redis_settings = REDIS
    on_startup = startup
    max_jobs = int(os.environ.get("BENCH_SLOTS", "10000"))
    job_timeout = 24 * 3600


async def enqueue(count: int) -> None:
    pool = await create_pool(REDIS)
    for number in range(count):
        await pool.enqueue_job("wait", make_id(number, None))


if __name__ == "__main__":
    if sys.argv[1] == "enqueue":
        asyncio.run(enqueue(int(sys.argv[2])))
    else:
        asyncio.set_event_loop(asyncio.new_event_loop())
        run_worker(WorkerSettings)  # type: ignore[arg-type]
