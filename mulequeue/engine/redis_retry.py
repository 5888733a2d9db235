"""Waiting for the ledger's Redis to come back."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis.exceptions import RedisError

from mulequeue.catalog.poll_schedule import backoff_seconds
from mulequeue.engine.worker_context import WorkerContext, worker_context

logger = logging.getLogger("mulequeue")
T = TypeVar("T")


LEDGER_RETRY_SECONDS = 30.0
"""How long a delivery waits for Redis before it hands its message back."""


def call_or_requeue(task: Any, function: Callable[[], T]) -> T:
    """A delivery's first word with the ledger; while Redis is away the message is kept alive.

    :raises celery.exceptions.Retry: the message comes again later; nothing was done.
    """
    try:
        return call_with_retry(worker_context(task.app), function)
    except RedisError as exc:
        raise task.retry(exc=exc, countdown=30, max_retries=None) from None


def call_with_retry(ctx: WorkerContext, function: Callable[[], T]) -> T:
    """Until Redis answers, for ``LEDGER_RETRY_SECONDS``; blocks.

    :raises redis.exceptions.RedisError: it did not answer in that time.
    """
    ends = time.monotonic() + LEDGER_RETRY_SECONDS
    attempt = 0
    while True:
        try:
            answer = function()
        except RedisError as exc:
            ctx.redis_availability.mark_down(exc)
            if time.monotonic() > ends:
                raise
            time.sleep(_delay(attempt))
            attempt += 1
        else:
            ctx.redis_availability.mark_up()
            return answer


async def retry_forever(
    ctx: WorkerContext, function: Callable[[], T], *, remote_id: str | None = None
) -> T:
    """Until Redis is back. An id that is paid is logged, so that even a dead machine's is known."""
    attempt = 0
    while True:
        try:
            answer = await ctx.call(function)
        except RedisError as exc:
            ctx.redis_availability.mark_down(exc)
            if remote_id and not attempt:
                logger.critical(
                    "remote id %s is not recorded yet, and paid: the ledger's Redis does not answer",
                    remote_id,
                    extra={"remote_id": remote_id, "error": repr(exc)},
                )
            await asyncio.sleep(_delay(attempt))
            attempt += 1
        else:
            ctx.redis_availability.mark_up()
            return answer


def _delay(attempt: int) -> float:
    return backoff_seconds(attempt, first=0.2, ceiling=5, chance=random.random())
