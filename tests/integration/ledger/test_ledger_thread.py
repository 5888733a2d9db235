"""What hangs in one thread of a process holds up no other one."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from celery import Celery
from redis import Redis

import mulequeue.tasks  # noqa: F401  # the app's poll task
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.ledger import Effects
from mulequeue.settings import Settings


def test_a_broker_that_hangs_holds_up_no_ledger_call(redis: Redis) -> None:
    """Paid ids are written down while a poll message waits for a broker that takes nothing."""
    app = Celery(set_as_current=False)
    port = redis.connection_pool.connection_kwargs["port"]
    ctx = WorkerContext(app, Settings(api_key="key", redis_url=f"redis://127.0.0.1:{port}"))
    asked, goes_on = threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> None:
        asked.set()
        goes_on.wait(5)
        asked.clear()

    app.tasks["mulequeue.poll"].apply_async = hang

    async def run() -> bool:
        waiting = asyncio.wrap_future(ctx.carry_out(Effects(poll_by=ctx.ledger.queries.now())))
        await asyncio.to_thread(asked.wait, 5)
        was_waiting = await ctx.call(asked.is_set)
        goes_on.set()
        await waiting
        return was_waiting

    assert asyncio.run(run())
    ctx.close()


def test_files_that_hang_hold_up_no_name_resolution(redis: Redis) -> None:
    """Status checks and creates resolve the API's name while all threads for files wait."""
    port = redis.connection_pool.connection_kwargs["port"]
    settings = Settings(api_key="key", redis_url=f"redis://127.0.0.1:{port}")
    ctx = WorkerContext(Celery(set_as_current=False), settings)
    goes_on = threading.Event()

    async def run() -> bool:
        reads = [asyncio.ensure_future(ctx.read_file(goes_on.wait, 30)) for _ in range(8)]
        found = await asyncio.get_running_loop().getaddrinfo("localhost", 443)
        is_resolved_first = bool(found) and not any(read.done() for read in reads)
        goes_on.set()
        await asyncio.gather(*reads)
        return is_resolved_first

    assert ctx.run(run())
    ctx.close()
