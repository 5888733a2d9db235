"""What a create may hold up while it is prepared."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any, cast

from celery import Celery

from mulequeue.engine.generation_request import GenerationRequest
from mulequeue.engine.submit.create import Submission, steady_clock
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.ledger import Intent
from mulequeue.settings import Settings


class SlowFiles:
    """A plan whose input is read from a file system that hangs."""

    is_body_slow = True

    def __init__(self) -> None:
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.is_reading = False

    def body(self, settings: Settings) -> dict[str, Any]:
        self.is_reading = True
        self.begun.set()
        self.goes_on.wait(5)
        self.is_reading = False
        raise OSError("the file system is away")


def test_a_file_that_is_read_slowly_holds_up_no_ledger_call() -> None:
    """The id that another create is just answered with is written down meanwhile."""

    async def run() -> bool:
        ctx = WorkerContext(Celery(set_as_current=False), Settings(api_key="key"))
        plan = SlowFiles()
        sending = Submission(ctx, cast(GenerationRequest, plan), cast(Intent, None), {}).send(
            steady_clock()
        )
        task = asyncio.create_task(sending)
        await asyncio.to_thread(plan.begun.wait, 5)
        was_reading = await ctx.call(lambda: plan.is_reading)
        plan.goes_on.set()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return was_reading

    assert asyncio.run(run())
