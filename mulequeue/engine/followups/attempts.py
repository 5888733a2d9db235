"""Run downloads and notifications under a lease, which is kept between their attempts.

The lease is in the same due index as the generations, so the transfer of a killed worker is re-enqueued
on any broker, and waiting for the next attempt needs neither a worker slot nor a countdown message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.exceptions import Ignore

from mulequeue.engine.dispatch import replace_result, skip_dispatch, tail_of
from mulequeue.engine.followups.judge import MAX_ATTEMPTS, Policy, abandoned_error, value_of
from mulequeue.engine.followups.leased_run import Attempt, BatchIsOpen, LeasedRun, own_queue
from mulequeue.engine.redis_retry import call_or_requeue
from mulequeue.engine.submit.park import parked_signature
from mulequeue.engine.worker_context import WorkerContext, context_of
from mulequeue.ledger import Begun, LeaseResult, new_token

__all__ = [
    "MAX_ATTEMPTS",
    "Attempt",
    "BatchIsOpen",
    "Policy",
    "on_end",
    "own_queue",
    "record_dispatch",
    "release",
    "run_leased",
]

# The run of each thread: after an error of the dispatch, Celery reports it without the task's request.
_current = threading.local()


def run_leased(task: Any, make: Callable[[Attempt], Any], policy: Policy) -> Any:
    """Handle one delivery of a leased task: make an attempt, or leave it to the ledger.

    :param make: makes the attempt; its JSON-ready value is kept until what follows is dispatched.
    :returns: the value, of this attempt or of an earlier one.
    :raises Ignore: another worker has it, it is done, it is retried later, or it continues in a thread.
    :raises MuleQueueError: it is given up.
    """
    ctx = context_of(task)
    lease, token, begun = _begin(ctx, task)
    run = _current.run = LeasedRun(ctx, task, lease, token, begun, policy)
    if begun.is_dispatched:
        skip_dispatch(task)
    ctx.carry_out(begun.effects).result()
    if begun.result is LeaseResult.ABANDONED:
        raise abandoned_error(begun)
    if begun.verdict is not None:
        return value_of(begun.verdict)
    try:
        value = run.attempt(make)
    except Ignore:
        _current.run = None
        raise
    if begun.returned:
        replace_result(task, begun.returned, has_run=True)
    return value


def _begin(ctx: WorkerContext, task: Any) -> tuple[str, str, Begun]:
    """Take the lease of the running task: its own, if other tasks follow another message of its id.

    Return its name, the token of this run, and the answer.

    :raises Ignore: another worker has it, it is done, or its next attempt is not due.
    """
    token, tail = new_token(), tail_of(task)
    signature = parked_signature(task, queue=own_queue(task))
    for name in (task.request.id, f"{task.request.id}.{tail}"):
        begin = partial(ctx.ledger.leases.begin, name, token, signature, tail=tail)
        begun = call_or_requeue(ctx, task, begin)
        if begun.result in (LeaseResult.RUN, LeaseResult.ABANDONED):
            return name, token, begun
        if begun.result is not LeaseResult.OTHER:
            break
    raise Ignore(begun.result.value)


def record_dispatch(task: Any) -> None:
    """Record that what follows the task was published."""
    run = _run_of(task.request.id)
    if run is not None:
        run.record_dispatch()


def release(task: Any) -> None:
    """Have a task that cannot end now delivered again."""
    run = _run_of(task.request.id)
    if run is not None:
        _current.run = None
        run.release()


def on_end(task_id: str, exc: BaseException | None = None) -> None:
    """End the lease of a task. Celery calls this after it dispatched what follows the task."""
    run = _run_of(task_id)
    if run is not None:
        _current.run = None
        run.end(exc)


def _run_of(task_id: str) -> LeasedRun | None:
    """Return this thread's run, if it is of that task."""
    run: LeasedRun | None = getattr(_current, "run", None)
    return run if run is not None and run.task_id == task_id else None
