"""Return the outcome of a generation to the tasks that follow it, in the delivery that a wake started."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from celery.exceptions import Ignore
from redis.exceptions import RedisError

from mulequeue.engine import tracing
from mulequeue.engine.dispatch import (
    MAX_RESULT_ATTEMPTS,
    feeds_leased_task,
    feeds_user_task,
    is_result_missing,
    replace_result,
    result_delay,
    skip_dispatch,
    tail_of,
)
from mulequeue.engine.followups.member_files import store_files
from mulequeue.engine.generation_call import CallOptions
from mulequeue.engine.heartbeat import ATTEMPT_SECONDS, DISPATCH_SECONDS, Heartbeat
from mulequeue.engine.redis_retry import call_with_retry
from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.errors import GenerationError, generation_error
from mulequeue.ledger import Intent, Record, outcome_of
from mulequeue.outcome import Outcome, short_form
from mulequeue.signals import generation_settled

logger = logging.getLogger("mulequeue")
# The delivery of each thread: after an error of the dispatch, Celery reports it without the task's request.
_current = threading.local()


class Returned(NamedTuple):
    """The delivery that returns an outcome."""

    task_id: str
    epoch: str
    deliveries: int
    tail: str
    """Digest of what follows it."""
    is_last: bool
    """No task of ours follows that changes the record."""
    heartbeat: Heartbeat
    """Keeps the delivery while Celery publishes what follows."""


def return_outcome(
    task: Any, ctx: WorkerContext, record: Record, intent: Intent, options: CallOptions
) -> dict[str, Any]:
    """Return or raise the outcome; the record stays ``delivering`` until :func:`on_dispatched`.

    :raises GenerationError: it did not succeed, with ``on_failure="raise"``.
    """
    tail = tail_of(task)
    keep = partial(ctx.ledger.generations.keep_delivery, record.task_id, intent.epoch, intent.run)
    heartbeat = Heartbeat(ctx, keep, most_seconds=DISPATCH_SECONDS)
    is_last = not feeds_leased_task(task)
    returned = _current.returned = Returned(
        record.task_id, intent.epoch, record.deliveries, tail, is_last, heartbeat
    )
    if record.dispatched == tail:
        skip_dispatch(task)
    if record.deliveries == 1 and record.epoch == intent.epoch:
        tracing.record_generation(record)
    returns_failure = options.on_failure == "return" or record.batch is not None
    if record.returned and record.epoch == intent.epoch:
        replace_result(task, record.returned, has_run=returns_failure)
    outcome = outcome_of(record)
    generation_settled.send(sender=task, task_id=record.task_id, outcome=outcome)
    if record.batch is not None and not feeds_user_task(task):
        return short_form(_with_files(task, ctx, record, outcome, returned))
    if outcome.succeeded or returns_failure:
        return outcome.to_dict()
    if task.request.chord:
        logger.warning(
            "a generation that did not succeed fails its whole chord; set "
            "on_failure='return' to pass the outcome to the body",
            extra={"task_id": record.task_id, "status": outcome.status},
        )
    raise generation_error(outcome.to_dict())


def _with_files(
    task: Any, ctx: WorkerContext, record: Record, outcome: Outcome, returned: Returned
) -> Outcome:
    """Store the files of a member of a batch, if that works at once.

    :raises Ignore: the ledger does not answer; the outcome is delivered again.
    """
    returned.heartbeat.limit(ATTEMPT_SECONDS)
    try:
        files = store_files(task, ctx, record, outcome)
    except RedisError:
        _current.returned = None
        returned.heartbeat.stop()
        raise Ignore("the ledger does not answer") from None
    returned.heartbeat.limit(DISPATCH_SECONDS)
    if files is None:
        return outcome
    _current.returned = returned._replace(is_last=not feeds_leased_task(task))
    return replace(outcome, files=files)


def on_dispatched(task: Any, task_id: str, exc: BaseException | None = None) -> None:
    """Mark the record as delivered. Celery calls this after it dispatched what follows the task.

    After any other failure (a publish that did not work) the record is woken again, and so it is if the
    result could not be stored.
    """
    returned = _returned_of(task_id)
    if returned is None:
        return
    _current.returned = None
    returned.heartbeat.stop()
    if exc is not None and not isinstance(exc, GenerationError):
        return
    ctx = worker_context(task.app)
    generations, ttl = ctx.ledger.generations, ctx.settings.record_ttl_seconds
    epoch, number = returned.epoch, returned.deliveries
    if is_result_missing(task) and number < MAX_RESULT_ATTEMPTS:
        retry, seconds = generations.retry_delivery, result_delay(number)
        return call_with_retry(ctx, lambda: retry(task_id, epoch, seconds=seconds))
    call_with_retry(ctx, lambda: generations.end_delivery(task_id, epoch, ttl_seconds=ttl))
    if returned.is_last:
        with suppress(RedisError):  # it only takes more memory then
            generations.compact(task_id)


def record_dispatch(task: Any) -> None:
    """Record that what follows the task was published."""
    returned = _returned_of(task.request.id)
    if returned is not None:
        ctx = worker_context(task.app)
        record = ctx.ledger.generations.record_dispatch
        call_with_retry(ctx, lambda: record(returned.task_id, returned.epoch, returned.tail))


def _returned_of(task_id: str) -> Returned | None:
    """Return this thread's delivery, if it is of that task."""
    returned: Returned | None = getattr(_current, "returned", None)
    return returned if returned is not None and returned.task_id == task_id else None
