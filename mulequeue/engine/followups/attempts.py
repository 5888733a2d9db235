"""Run downloads and notifications under a lease, which is kept between their attempts.

The lease is in the same due index as the generations, so the transfer of a killed worker is re-enqueued
on any broker, and waiting for the next attempt needs neither a worker slot nor a countdown message.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

from celery.exceptions import Ignore
from redis.exceptions import RedisError

from mulequeue.engine.redis_retry import call_or_requeue
from mulequeue.engine.submit.park import parked_signature
from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.errors import MuleQueueError, TransferError
from mulequeue.ledger import LeaseResult, new_token
from mulequeue.net.timers import Timers

logger = logging.getLogger("mulequeue")
T = TypeVar("T")

MAX_ATTEMPTS = 50
MAX_UNEXPECTED_ERRORS = 5
HEARTBEAT_SECONDS = 6.0
_RUN = "mulequeue_transfer"
# Apart from the deadlines, which a Redis that does not answer would delay.
_leases = Timers("mulequeue-leases")


class Heartbeat:
    """Renews a transfer's lease while the block runs.

    :param seconds: between two renewals.
    """

    def __init__(
        self, ctx: WorkerContext, task_id: str, run: str, *, seconds: float = HEARTBEAT_SECONDS
    ) -> None:
        self._ctx, self._task_id, self._run = ctx, task_id, run
        self._seconds = seconds

    def _beat(self) -> None:
        try:
            self._ctx.ledger.leases.keep(self._task_id, self._run)
        except RedisError as exc:
            self._ctx.redis_availability.mark_down(exc)
        except Exception as exc:
            logger.warning("a transfer's lease was not renewed: %r", exc)

    def __enter__(self) -> Heartbeat:
        self._alarm = _leases.every(self._seconds, self._beat)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        _leases.cancel(self._alarm)


def transfer(
    task: Any, attempt: Callable[[], T], *, delays: Sequence[float], most_seconds: float
) -> T:
    """Handle one delivery of a leased task: run an attempt, or leave it to the ledger.

    :param delays: seconds between attempts; the last one repeats.
    :param most_seconds: it is given up when this time has passed since the first attempt.
    :raises Ignore: another worker has it, it is done, or it is retried later.
    :raises TransferError: it is given up.
    """
    ctx = worker_context(task.app)
    task_id, run = task.request.id, new_token()
    signature = parked_signature(task, queue=_own_queue(task), epoch="")
    begun = call_or_requeue(ctx, task, lambda: ctx.ledger.leases.begin(task_id, run, signature))
    number = begun.attempt
    if begun.result is not LeaseResult.RUN:
        raise Ignore(begun.result.value)
    setattr(task.request, _RUN, run)
    try:
        ctx.carry_out(begun.effects).result()
        with Heartbeat(ctx, task_id, run):
            result = attempt()
        ctx.meter.count_attempt(task.name, "done")
        return result
    except Exception as exc:
        delay = delays[min(number, len(delays)) - 1] * random.uniform(0.8, 1.2)
        final = _final_error(exc, number, is_late=begun.elapsed_seconds + delay > most_seconds)
        ctx.meter.count_attempt(task.name, "retried" if final is None else "given_up")
        if final is not None:
            raise final from final.__cause__
        logger.warning(
            "%s failed; retrying in %.0f s: %s",
            task.name,
            delay,
            exc,
            extra={"task_id": task_id, "attempt": number},
        )
        _try_again(ctx, task_id, run, delay)
    raise Ignore("retrying later")


def _final_error(exc: Exception, number: int, *, is_late: bool) -> Exception | None:
    """Return the error to give up with, or None to retry.

    An unexpected error (a full disk, Redis unavailable, a defect) is retried too: raised here it would
    fail the chord permanently.
    """
    if isinstance(exc, TransferError):
        return exc if not exc.retryable or number >= MAX_ATTEMPTS or is_late else None
    if isinstance(exc, MuleQueueError):
        return exc
    if number < MAX_UNEXPECTED_ERRORS:
        return None
    error = TransferError(f"{type(exc).__name__}: {exc}", retryable=False)
    error.__cause__ = exc
    return error


def _try_again(ctx: WorkerContext, task_id: str, run: str, delay: float) -> None:
    try:
        ctx.carry_out(ctx.ledger.leases.retry(task_id, run, delay)).result()
    except RedisError as exc:  # the task is woken when the lease lapses
        ctx.redis_availability.mark_down(exc)


def _own_queue(task: Any) -> str | None:
    """Return the queue that this message came from; None: Celery's routing finds it."""
    info = task.request.delivery_info or {}
    return info.get("routing_key") if info.get("exchange") in ("", None) else None


def on_end(task: Any, exc: BaseException | None = None) -> None:
    """End the lease, so that repeated messages are ignored. Celery calls this after it dispatched what
    follows the task.

    After an error of another kind the lease stays, so that the task is repeated.
    """
    run = getattr(task.request, _RUN, None)
    if run is None or not (exc is None or isinstance(exc, MuleQueueError)):
        return
    ctx = worker_context(task.app)
    result = {"task": task.name, "error": None if exc is None else str(exc)}
    ctx.ledger.leases.end(task.request.id, run, result, ttl_seconds=ctx.settings.record_ttl_seconds)
