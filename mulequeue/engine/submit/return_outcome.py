"""Return the outcome of a generation from the delivery of a woken task, for the tasks that follow."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from celery.exceptions import Ignore
from redis.exceptions import RedisError

from mulequeue.engine.delivery import ATTEMPT_SECONDS, DISPATCH_SECONDS, Delivery
from mulequeue.engine.following_tasks import (
    feeds_leased_task,
    feeds_user_task,
    replace_result,
    skip_dispatch,
)
from mulequeue.engine.followups.member_files import store_files
from mulequeue.engine.generation_call import CallOptions
from mulequeue.engine.redis_retry import call_with_retry
from mulequeue.engine.tracing import opentelemetry
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.errors import GenerationError, generation_error
from mulequeue.ledger import Intent, Record, outcome_of
from mulequeue.outcome import Outcome, short_form
from mulequeue.signals import generation_settled

logger = logging.getLogger("mulequeue")


def return_outcome(
    task: Any, ctx: WorkerContext, record: Record, intent: Intent, options: CallOptions
) -> dict[str, Any]:
    """Return or raise the outcome. The record is ``delivering`` until Celery has published the tasks that follow.

    :raises GenerationError: the generation did not succeed, ``on_failure`` is ``raise``, and it is in no batch.
    :raises Ignore: Redis does not answer; the outcome is delivered again.
    """
    delivery = _Return(ctx, task, record, intent)
    if record.dispatched == delivery.tail:
        skip_dispatch(task)
    if record.deliveries == 1 and record.epoch == intent.epoch:
        opentelemetry.record_generation(record)
    returns_failure = options.on_failure == "return" or record.batch is not None
    if record.returned and record.epoch == intent.epoch:
        replace_result(task, record.returned, has_run=returns_failure)
    outcome = outcome_of(record)
    generation_settled.send(sender=task, task_id=record.task_id, outcome=outcome)
    if record.batch is not None and not feeds_user_task(task):
        return short_form(delivery.with_files(outcome))
    if outcome.succeeded or returns_failure:
        return outcome.to_dict()
    if task.request.chord:
        logger.warning(
            "a generation that did not succeed fails its whole chord; set "
            "on_failure='return' to pass the outcome to the body",
            extra={"task_id": record.task_id, "status": outcome.status},
        )
    raise generation_error(outcome.to_dict())


class _Return(Delivery):
    """The delivery that returns an outcome.

    If the dispatch fails (a message could not be published), the task is woken again when the lease lapses.
    """

    own_errors = GenerationError

    def __init__(self, ctx: WorkerContext, task: Any, record: Record, intent: Intent) -> None:
        self._record, self._epoch = record, intent.epoch
        self._generations = ctx.ledger.generations
        keep = partial(self._generations.keep_delivery, record.task_id, intent.epoch, intent.run)
        super().__init__(ctx, task, keep, record.deliveries)

    def with_files(self, outcome: Outcome) -> Outcome:
        """Store the files of a batch's member if that works at once; return the outcome, with the files if stored.

        :raises Ignore: Redis does not answer; the outcome is delivered again.
        """
        self._heartbeat.limit(ATTEMPT_SECONDS)
        try:
            files = store_files(self._task, self._ctx, self._record, outcome)
        except RedisError:
            self.release()
            raise Ignore("the ledger does not answer") from None
        self._heartbeat.limit(DISPATCH_SECONDS)
        if files is None:
            return outcome
        self._is_last = not feeds_leased_task(self._task)
        return replace(outcome, files=files)

    def record_dispatch(self) -> None:
        self._write(self._generations.record_dispatch, self.tail)

    def _repeat_dispatch(self, exc: BaseException) -> None:
        """Do nothing: the task is delivered again when the lease of this delivery lapses."""

    def _repeat_result(self, seconds: float) -> None:
        self._write(self._generations.retry_delivery, seconds=seconds)

    def _end(self, exc: BaseException | None) -> None:
        ttl = self._ctx.settings.record_ttl_seconds
        self._write(self._generations.end_delivery, ttl_seconds=ttl)
        self._compact(self.task_id)

    def _write(self, transition: Callable[..., object], *args: Any, **options: Any) -> None:
        change = partial(transition, self.task_id, self._epoch, *args, **options)
        call_with_retry(self._ctx, change)
