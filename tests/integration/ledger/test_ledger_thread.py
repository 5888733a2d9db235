"""The one thread of a process that asks the ledger waits for nobody else."""

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
