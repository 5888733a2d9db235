"""Retry ledger calls while Redis does not answer, and log when it goes away and comes back."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import DataError, RedisError

from mulequeue.catalog.poll_schedule import backoff_seconds

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext

logger = logging.getLogger("mulequeue")
T = TypeVar("T")

LEDGER_RETRY_SECONDS = 30.0
"""How long a delivery retries before it requeues its message."""


class RedisAvailability:
    """Logs once per process that Redis does not answer, and once that it answers again.

    :param url: of the ledger's Redis, without its password.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._since: float | None = None
        self._lock = threading.Lock()

    def mark_down(self, exc: Exception) -> None:
        """Record that Redis did not answer."""
        with self._lock:
            if self._since is not None:
                return
            self._since = time.monotonic()
        logger.warning(
            "the ledger's Redis does not answer: %s Start it, or correct mulequeue_redis_url (%s). "
            "Nothing is lost: submissions and status checks resume when it answers",
            _sentence(exc),
            self._url,
        )

    def mark_up(self) -> None:
        """Record that Redis answered."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            logger.info("the ledger's Redis answers again, after %.0f s", time.monotonic() - since)

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Record whether Redis is available, from the result of the block.

        A RedisError marks it as down, a block without an error as up. A DataError changes nothing: the
        client rejected an argument.
        """
        try:
            yield
        except DataError:
            raise
        except RedisError as exc:
            self.mark_down(exc)
            raise
        self.mark_up()


def call_or_requeue(ctx: WorkerContext, task: Any, function: Callable[[], T]) -> T:
    """Make the first ledger call of a delivery; requeue its message if Redis does not answer.

    :raises celery.exceptions.Retry: the message is delivered again after 30 s.
    """
    try:
        return call_with_retry(ctx, function)
    except DataError:
        raise
    except RedisError as exc:
        raise task.retry(exc=exc, countdown=30, max_retries=None) from None


def call_with_retry(ctx: WorkerContext, function: Callable[[], T]) -> T:
    """Make a ledger call; retry it while Redis does not answer, for ``LEDGER_RETRY_SECONDS``. Blocks.

    :raises redis.exceptions.RedisError: Redis did not answer in that time.
    :raises redis.exceptions.DataError: the client rejected an argument; the call is not retried.
    """
    ends = time.monotonic() + LEDGER_RETRY_SECONDS
    for attempt in count():
        try:
            with ctx.redis_availability.observed():
                return function()
        except RedisError as exc:
            if isinstance(exc, DataError) or time.monotonic() > ends:
                raise
            time.sleep(_delay(attempt))
    raise AssertionError


async def retry_forever(
    ctx: WorkerContext,
    function: Callable[[], T],
    *,
    remote_id: str | None = None,
    task_id: str | None = None,
) -> T:
    """Make a ledger call from the event loop; retry it without a time limit until Redis answers.

    :param remote_id: a billed id. If the first try fails it is logged, so that it is known if the machine is lost.
    :param task_id: of the generation's task, for the log.
    """
    for attempt in count():
        try:
            with ctx.redis_availability.observed():
                return await ctx.call(function)
        except RedisError as exc:
            if remote_id and not attempt:
                logger.critical(
                    "remote id %s is billed but not yet recorded: the ledger's Redis does not answer",
                    remote_id,
                    extra={"task_id": task_id, "remote_id": remote_id, "error": repr(exc)},
                )
            await asyncio.sleep(_delay(attempt))
    raise AssertionError


def _delay(attempt: int) -> float:
    return backoff_seconds(attempt, first=0.2, ceiling=5, chance=random.random())


def _sentence(exc: Exception) -> str:
    return str(exc).rstrip(".") + "." if str(exc) else f"{type(exc).__name__}."
