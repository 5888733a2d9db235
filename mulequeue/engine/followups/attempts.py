"""Run downloads, notifications and other tasks under a lease, which is kept between their attempts.

The lease is in the same due index as the generations, so the transfer of a killed worker is re-enqueued
on any broker, and waiting for the next attempt needs neither a worker slot nor a countdown message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from celery.exceptions import Ignore
from redis.exceptions import RedisError

from mulequeue.engine.delivery import ATTEMPT_SECONDS, DISPATCH_SECONDS, Delivery
from mulequeue.engine.following_tasks import replace_result, skip_dispatch, tail_of
from mulequeue.engine.followups.background import Background
from mulequeue.engine.followups.judge import Policy, abandoned_error, judge, value_of
from mulequeue.engine.queues import create_priority
from mulequeue.engine.redis_retry import call_or_requeue, call_with_retry
from mulequeue.engine.submit.park import parked_signature
from mulequeue.engine.worker_context import WorkerContext, context_of
from mulequeue.ledger import Begun, Effects, LeaseResult, RetryReason, new_token
from mulequeue.transfer.control import TransferControl

logger = logging.getLogger("mulequeue")

RECHECK_SECONDS = 300.0
"""A task that waits for a batch is also woken after this time, to check whether the batch is over."""
UNDISPATCHED_SECONDS = 20.0
"""Time until a task is delivered again after a failed dispatch; doubled after each further one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The data of one attempt, for the function that makes it."""

    number: int
    """From 1."""
    is_repeated: bool = False
    """True: an earlier attempt may have left an incomplete file."""
    control: TransferControl


class BatchIsOpen(Exception):
    """Raised by an attempt to park its task until a batch is over.

    :param seconds: wake the task after at most this time, in its own queue behind the other messages. None: wake it
        in the wake queue when the batch is over, at the latest after ``RECHECK_SECONDS``.
    :param replaced: arguments, by name, with other values in the message that wakes the task.
    """

    def __init__(self, batch_id: str, /, *, seconds: float | None = None, **replaced: Any) -> None:
        super().__init__(batch_id)
        self.batch_id, self.seconds, self.replaced = batch_id, seconds, replaced


def run_leased(task: Any, make: Callable[[Attempt], Any], policy: Policy) -> Any:
    """Process one delivery of a leased task: make an attempt, or return the value of an earlier one.

    :param make: makes the attempt and returns a JSON-ready value, which is kept until the tasks that follow are
        published.
    :raises Ignore: another worker runs the task, the task has ended, its next attempt is due later, it waits for
        a batch, or the attempt continues in a thread.
    :raises Retry: Redis does not answer; the message is delivered again.
    :raises MuleQueueError: the task has failed, and no attempt follows.
    """
    ctx = context_of(task)
    lease, token, begun = _begin(ctx, task)
    run = LeasedRun(ctx, task, lease, token, begun, policy)
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
        run.leave()
        raise
    if begun.returned:
        replace_result(task, begun.returned, has_run=True)
    return value


def _begin(ctx: WorkerContext, task: Any) -> tuple[str, str, Begun]:
    """Acquire the lease of the running task; return the lease's name, this run's token, and the ledger's answer.

    :raises Ignore: another run has the lease, the task has ended, or its next attempt is not due.
    :raises Retry: Redis does not answer; the message is delivered again.
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


class LeasedRun(Delivery):
    """One run of a leased task: make an attempt, store its result, then let Celery publish the tasks that follow.

    If publishing fails, or the worker is killed meanwhile, the next run makes no attempt and only publishes them.

    :param lease: its name: the task id, or ``id.tail`` if the lease of that id belongs to another tail.
    :param token: of this run.
    """

    def __init__(
        self, ctx: WorkerContext, task: Any, lease: str, token: str, begun: Begun, policy: Policy
    ) -> None:
        self._leases, self._policy = ctx.ledger.leases, policy
        self._lease, self._token, self._begun = lease, token, begun
        keep = partial(self._leases.keep, lease, token)
        super().__init__(ctx, task, keep, begun.attempt)

    # -- the attempt -----------------------------------------------------------------------

    def attempt(self, make: Callable[[Attempt], Any]) -> Any:
        """Make the attempt; return its value, or raise as :func:`run_leased` does."""
        number = self._begun.attempt
        attempt = Attempt(number=number, is_repeated=number > 1, control=TransferControl())
        self._heartbeat.limit(ATTEMPT_SECONDS)
        try:
            value = self._make(partial(make, attempt), attempt.control)
        except Ignore:
            raise
        except BatchIsOpen as exc:
            self._wait(exc)
            raise Ignore("waiting for a batch") from None
        except Exception as exc:
            error = self._fail(exc)
            if error is None:
                raise Ignore("retrying later") from None
            raise error from error.__cause__
        self._succeed(value, is_dispatching=True)
        self._heartbeat.limit(DISPATCH_SECONDS)
        return value

    def _make(self, make: Callable[[], Any], control: TransferControl) -> Any:
        host = self._policy.host()
        if host is None:
            return make()
        future = self._ctx.shared(Background).attempt(host, make, control)
        if future.done():
            return future.result()
        self._finish_in_background(future)
        raise Ignore(f"{host} does not answer yet; the attempt continues without a slot")

    def _finish_in_background(self, future: Future[Any]) -> None:
        """Store the result of an attempt when its thread ends. The process waits for that before it ends."""
        finished: Future[None] = Future()
        self._ctx.track(finished)

        def finish(_: Future[Any]) -> None:
            error = future.exception()
            try:
                if error is None:
                    self._succeed(future.result(), is_dispatching=False)
                elif isinstance(error, Exception) and (final := self._fail(error)) is not None:
                    verdict = {"error": str(final), "type": type(final).__name__}
                    self._decide(verdict, is_dispatching=False)
            finally:
                self._heartbeat.stop()
                finished.set_result(None)

        future.add_done_callback(finish)

    def _succeed(self, value: Any, *, is_dispatching: bool) -> None:
        self._ctx.meter.count_attempt(self._task.name, "done")
        if self._policy.keeps_value:
            self._decide({"value": value}, is_dispatching=is_dispatching)

    def _decide(self, verdict: Mapping[str, Any], *, is_dispatching: bool) -> None:
        self._write(self._leases.decide, verdict, is_dispatching=is_dispatching)

    def _wait(self, open_batch: BatchIsOpen) -> None:
        seconds, queue = open_batch.seconds, own_queue(self._task)
        if seconds is None:  # not behind the downloads of other batches
            seconds, queue = RECHECK_SECONDS, self._ctx.settings.wake_queue
        signature = parked_signature(self._task, queue=queue, **open_batch.replaced)
        if open_batch.seconds is not None and not signature["options"].get("priority"):
            signature["options"] |= create_priority(self._task)
        self._heartbeat.stop()
        self._write(self._leases.wait, open_batch.batch_id, signature, seconds=seconds)

    # -- a failed attempt --------------------------------------------------------------------

    def _fail(self, exc: Exception) -> Exception | None:
        """Schedule the next attempt and return None, or return the final error."""
        delay, how, error = judge(exc, self._begun, self._policy)
        self._ctx.meter.count_attempt(self._task.name, "retried" if error is None else "given_up")
        if error is None:
            self._log_retry(exc, delay, how)
            self._retry(delay, how, str(exc))
        return error

    def _log_retry(self, exc: Exception, delay: float, how: RetryReason) -> None:
        name = self._task.name
        extra = {"task_id": self.task_id, "attempt": self._begun.attempt}
        if how is not RetryReason.ELSEWHERE:
            logger.warning("%s failed; retrying in %.0f s: %s", name, delay, exc, extra=extra)
        elif self._ctx.is_first(
            "left to others", str(exc)
        ):  # thousands of tasks have the same reason
            logger.warning(
                "%s cannot run on this worker now; it is left to other workers: %s",
                name,
                exc,
                extra=extra,
            )

    def _retry(self, delay: float, how: RetryReason, cause: str) -> None:
        self._heartbeat.stop()
        self._write(self._leases.retry, delay, how=how, cause=cause)

    def _write(self, transition: Callable[..., Effects], *args: Any, **options: Any) -> None:
        """Change the lease. If Redis does not answer for 30 s, the lease lapses and the task is delivered again."""
        change = partial(transition, self._lease, self._token, *args, **options)
        try:
            self._ctx.carry_out(call_with_retry(self._ctx, change)).result()
        except RedisError as exc:
            self._ctx.redis_availability.mark_down(exc)

    # -- the end -----------------------------------------------------------------------------

    def record_dispatch(self) -> None:
        record = partial(self._leases.record_dispatch, self._lease, self._token)
        call_with_retry(self._ctx, record)

    def _repeat_result(self, seconds: float) -> None:
        self._retry(seconds, RetryReason.UNDISPATCHED, "its result is not stored")

    def _repeat_dispatch(self, exc: BaseException) -> None:
        deliveries = self._begun.deliveries
        delay = UNDISPATCHED_SECONDS * 2 ** (deliveries - 1)
        logger.error(
            "what follows %s could not be dispatched; repeating that in %.0f s: %r",
            self._task.name,
            delay,
            exc,
            extra={"task_id": self.task_id, "deliveries": deliveries},
        )
        cause = f"what follows cannot be dispatched: {exc!r}"
        self._retry(delay, RetryReason.UNDISPATCHED, cause)

    def _end(self, exc: BaseException | None) -> None:
        error, generation = None if exc is None else str(exc), self._policy.generation
        end = partial(
            self._leases.end,
            self._lease,
            self._token,
            {"task": self._task.name, "error": error, "tail": self.tail},
            ttl_seconds=self._ctx.settings.record_ttl_seconds,
            generation=generation if self._policy.error_field else None,
            error_field=self._policy.error_field,
        )
        call_with_retry(self._ctx, end)
        if generation is not None and error is None:
            self._compact(generation)


def own_queue(task: Any) -> str | None:
    """Return the queue of the running task's message. None: it had a named exchange, so use Celery's routing."""
    info = task.request.delivery_info or {}
    return info.get("routing_key") if info.get("exchange") in ("", None) else None
