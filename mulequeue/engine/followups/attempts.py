"""Downloads and notifications: one lease each, held while they run and between their attempts.

The lease lies in the same due index as the generations, so a dead worker's transfer is re-enqueued
on any broker, and waiting for the next attempt takes neither a slot nor a countdown message.
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
# Not with the deadlines: a Redis that does not answer would hold them up.
_leases = Timers("mulequeue-leases")


class Heartbeat:
    """Keeps a transfer's lease while the block runs.

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
    task: Any,
    attempt: Callable[[], T],
    *,
    delays: Sequence[float],
    most_seconds: float,
) -> T:
    """One delivery of a transferring task: run an attempt, or leave it to the ledger.

    :param delays: seconds between attempts; the last one repeats.
    :param most_seconds: after this long since the first attempt it is given up.
    :raises Ignore: somebody else has it, it is done, or it is tried again later.
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
            "%s did not work, next attempt in %.0f s: %s",
            task.name,
            delay,
            exc,
            extra={"task_id": task_id, "attempt": number},
        )
        _try_again(ctx, task_id, run, delay)
    raise Ignore("tried again later")


def _final_error(exc: Exception, number: int, *, is_late: bool) -> Exception | None:
    """What it is given up with; None: another attempt makes sense.

    An error nobody foresaw (a full disk, Redis away, a defect) gets some attempts too: raised here
    it would fail the chord for good.
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
    except RedisError as exc:  # the lease lapses, and then it is woken
        ctx.redis_availability.mark_down(exc)


def _own_queue(task: Any) -> str | None:
    """The queue this message came from; Celery's own rules find it when it is not known."""
    info = task.request.delivery_info or {}
    return info.get("routing_key") if info.get("exchange") in ("", None) else None


def on_end(task: Any, exc: BaseException | None = None) -> None:
    """Called by Celery after it dispatched what follows: repeated messages are ignored now.

    A failure that is not our own verdict leaves the lease, so that it is done again.
    """
    run = getattr(task.request, _RUN, None)
    if run is None or not (exc is None or isinstance(exc, MuleQueueError)):
        return
    ctx = worker_context(task.app)
    result = {"task": task.name, "error": None if exc is None else str(exc)}
    ctx.ledger.leases.end(task.request.id, run, result, ttl_seconds=ctx.settings.record_ttl_seconds)
