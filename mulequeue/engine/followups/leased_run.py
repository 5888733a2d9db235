"""One run of a leased task: its attempt, and what the ledger keeps of it until its dispatch.

How the attempts ended is stored before Celery dispatches what follows. If that fails, or the worker is
killed, the next delivery dispatches it and makes no attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from celery.exceptions import Ignore
from redis.exceptions import RedisError

from mulequeue.engine.dispatch import (
    MAX_RESULT_ATTEMPTS,
    feeds_leased_task,
    is_result_missing,
    result_delay,
    tail_of,
)
from mulequeue.engine.followups.background import Background, is_stalled, start
from mulequeue.engine.followups.judge import HostBusy, Policy, judge, verdict_of
from mulequeue.engine.heartbeat import ATTEMPT_SECONDS, DISPATCH_SECONDS, Heartbeat
from mulequeue.engine.queues import create_priority
from mulequeue.engine.redis_retry import call_with_retry
from mulequeue.engine.submit.park import parked_signature
from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Begun, Effects, RetryReason
from mulequeue.transfer.control import TransferControl

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext

logger = logging.getLogger("mulequeue")

RECHECK_SECONDS = 300.0
"""A task that waits for a batch checks it this often, in addition to its wake."""
UNDISPATCHED_SECONDS = 20.0
"""Time until what could not be dispatched is delivered again; it doubles each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt, as the function that makes it needs to know it."""

    number: int
    """From 1."""
    is_repeated: bool = False
    """An earlier one may have left an incomplete file."""
    control: TransferControl


class BatchIsOpen(Exception):
    """Raised by an attempt to park its task until a batch is over.

    :param seconds: wake it after this time, behind the messages in its queue; None: when the batch is over.
    :param replaced: arguments, by name, of the message that wakes the task.
    """

    def __init__(self, batch_id: str, /, *, seconds: float | None = None, **replaced: Any) -> None:
        super().__init__(batch_id)
        self.batch_id, self.seconds, self.replaced = batch_id, seconds, replaced


class LeasedRun:
    """One run of a leased task, from taking the lease until Celery has dispatched what follows.

    :param lease: its name: the task id; with the tail, if a task of the same id is followed by other tasks.
    """

    def __init__(
        self, ctx: WorkerContext, task: Any, lease: str, token: str, begun: Begun, policy: Policy
    ) -> None:
        self._ctx, self._leases, self._task = ctx, ctx.ledger.leases, task
        self.task_id, self._tail = task.request.id, tail_of(task)
        self._is_last = not feeds_leased_task(task)
        self._lease, self._token, self._begun, self._policy = lease, token, begun, policy
        keep = partial(self._leases.keep, lease, token)
        self._heartbeat = Heartbeat(ctx, keep, most_seconds=DISPATCH_SECONDS)

    # -- the attempt -----------------------------------------------------------------------

    def attempt(self, make: Callable[[Attempt], Any]) -> Any:
        """Make the attempt and return its value; errors as of :func:`run_leased`."""
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
        background = self._ctx.shared(Background)
        if background.is_crowded(host):
            raise HostBusy(f"{host} has not answered the earlier attempts of this worker.")
        with background.running():
            future = start(make)
            if not is_stalled(future, control, background.stall_seconds(host)):
                return future.result()
        background.leave(host, future)
        self._finish_in_background(future)
        raise Ignore(f"{host} does not answer yet; the attempt continues without a slot")

    def _finish_in_background(self, future: Future[Any]) -> None:
        """Store how an attempt ends that its task does not wait for; a process that ends waits for that."""
        finished: Future[None] = Future()
        self._ctx.track(finished)

        def finish(_: Future[Any]) -> None:
            try:
                self._store_end(future)
            finally:
                self._heartbeat.stop()
                finished.set_result(None)

        future.add_done_callback(finish)

    def _store_end(self, future: Future[Any]) -> None:
        error = future.exception()
        if error is None:
            self._succeed(future.result(), is_dispatching=False)
        elif isinstance(error, Exception) and (final := self._fail(error)) is not None:
            self._decide(verdict_of(final), is_dispatching=False)

    def _succeed(self, value: Any, *, is_dispatching: bool) -> None:
        self._ctx.meter.count_attempt(self._task.name, "done")
        if self._policy.keeps_value:
            self._decide({"value": value}, is_dispatching=is_dispatching)

    def _decide(self, verdict: Mapping[str, Any], *, is_dispatching: bool) -> None:
        decide = partial(self._leases.decide, self._lease, self._token, verdict)
        self._write(partial(decide, is_dispatching=is_dispatching))

    def _wait(self, open_batch: BatchIsOpen) -> None:
        seconds, batch_id = open_batch.seconds, open_batch.batch_id
        queue = own_queue(self._task)
        if seconds is None:  # that wake is not behind the downloads of another batch
            seconds, queue = RECHECK_SECONDS, self._ctx.settings.wake_queue
        signature = parked_signature(self._task, queue=queue, **open_batch.replaced)
        if open_batch.seconds is not None and not signature["options"].get("priority"):
            signature["options"] |= create_priority(self._task)
        wait = partial(self._leases.wait, self._lease, self._token, batch_id, signature)
        self._heartbeat.stop()
        self._write(partial(wait, seconds=seconds))

    # -- a failed attempt --------------------------------------------------------------------

    def _fail(self, exc: Exception) -> Exception | None:
        """Schedule the next attempt, or return the error to give up with."""
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
            return
        known: set[str] = self._ctx.state.setdefault("reasons", set())
        if str(exc) not in known:  # thousands of tasks have the same reason
            known.add(str(exc))
            logger.warning(
                "%s cannot run on this worker now; it is left to other workers: %s",
                name,
                exc,
                extra=extra,
            )

    def _retry(self, delay: float, how: RetryReason, cause: str) -> None:
        self._heartbeat.stop()
        retry = partial(self._leases.retry, self._lease, self._token, delay)
        self._write(partial(retry, how=how, cause=cause))

    def _write(self, change: Callable[[], Effects]) -> None:
        """Change the lease. If Redis stays away, it lapses, and its task is delivered again."""
        try:
            self._ctx.carry_out(call_with_retry(self._ctx, change)).result()
        except RedisError as exc:
            self._ctx.redis_availability.mark_down(exc)

    # -- the end -----------------------------------------------------------------------------

    def record_dispatch(self) -> None:
        """Record that what follows the task was published."""
        record = partial(self._leases.record_dispatch, self._lease, self._token)
        call_with_retry(self._ctx, record)

    def release(self) -> None:
        """Let the lease lapse, so that the task is delivered again."""
        self._heartbeat.stop()

    def end(self, exc: BaseException | None) -> None:
        """End the lease after Celery dispatched what follows, or have it delivered again.

        :param exc: the error of the task; one that is not ours is of the dispatch.
        """
        self._heartbeat.stop()
        number = self._begun.attempt
        if exc is not None and not isinstance(exc, MuleQueueError):
            self._repeat_dispatch(exc)
        elif is_result_missing(self._task) and number < MAX_RESULT_ATTEMPTS:
            self._retry(result_delay(number), RetryReason.UNDISPATCHED, "its result is not stored")
        else:
            self._end(None if exc is None else str(exc))

    def _end(self, error: str | None) -> None:
        result = {"task": self._task.name, "error": error, "tail": self._tail}
        end = partial(self._leases.end, self._lease, self._token, result)
        end = partial(end, ttl_seconds=self._ctx.settings.record_ttl_seconds)
        generation, field = self._policy.generation, self._policy.error_field
        of = generation if field else None
        call_with_retry(self._ctx, partial(end, generation=of, error_field=field))
        if generation is not None and error is None and self._is_last:
            with suppress(RedisError):  # it only takes more memory then
                self._ctx.ledger.generations.compact(generation)

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


def own_queue(task: Any) -> str | None:
    """Return the queue that this message came from; None: Celery's routing finds it."""
    info = task.request.delivery_info or {}
    return info.get("routing_key") if info.get("exchange") in ("", None) else None
