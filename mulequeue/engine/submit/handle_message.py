"""Handle one message of ``generate``: submit and park, or return the outcome.

Once its intent is written, the first delivery ends only in ``Ignore``. Every error is settled in the ledger,
and the second delivery returns or raises it. (A task that failed in the first one would fail its chain and
chord permanently, although the generation may be running.)
"""

from __future__ import annotations

import logging
import random
from functools import partial
from typing import Any, NoReturn

from celery.exceptions import Ignore
from redis.exceptions import RedisError

from mulequeue.engine.following_tasks import tail_of
from mulequeue.engine.followups.member_files import wake_queue
from mulequeue.engine.generation_call import GenerationCall, check_task_id, metadata_json
from mulequeue.engine.generation_request import GenerationRequest, refusal_of, request_of
from mulequeue.engine.redis_retry import call_or_requeue
from mulequeue.engine.submit.create import Submission, refuse, steady_clock
from mulequeue.engine.submit.park import (
    Parked,
    expires_at,
    marker_of,
    parked_signature,
    queued_seconds,
)
from mulequeue.engine.submit.return_outcome import return_outcome
from mulequeue.engine.tracing import opentelemetry
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.ledger import Action, Intent, RecordIdResult, Verdict, new_token
from mulequeue.settings import Profile
from mulequeue.settings.prices import price_line
from mulequeue.settings.profiles import NO_KEY
from mulequeue.signals import generation_parked

logger = logging.getLogger("mulequeue")
NO_KEY_RETRY_SECONDS = 10


def handle_message(task: Any, ctx: WorkerContext, call: GenerationCall) -> dict[str, Any]:
    """Handle one delivery of a generating task; return the outcome if the generation has ended.

    If the call is invalid, the generation fails with that error.

    :raises Ignore: the task is parked, or the message needs no action.
    :raises Retry: Redis does not answer, or this worker lacks the key for ``adopt``; the message is delivered again.
    :raises GenerationError: the generation did not succeed; see :func:`return_outcome`.
    :raises InputError: the task id has a prefix that the ledger uses.
    """
    started = steady_clock()
    check_task_id(task.request.id)
    message = _Message(task, ctx, call)
    message.adopt()
    intent = message.intent
    seconds, begin = ctx.settings.submit_timeout_seconds, ctx.ledger.generations.begin_delivery
    verdict = call_or_requeue(ctx, task, partial(begin, intent, submit_seconds=seconds))
    if verdict.action is Action.DELIVER:
        assert verdict.record is not None
        return return_outcome(task, ctx, verdict.record, intent, call.options)
    try:
        message.submit(verdict, started)
    except Ignore:
        raise
    except RedisError as exc:
        ctx.redis_availability.mark_down(exc)
    except Exception:
        # When the lease of the intent lapses, the record is settled as submit_unknown; nothing is sent again.
        logger.exception("a submission failed unexpectedly", extra={"task_id": intent.task_id})
    raise Ignore("the ledger continues it")


class _Message:
    """A message of a generating task: the user's, or one that wakes a parked task."""

    def __init__(self, task: Any, ctx: WorkerContext, call: GenerationCall) -> None:
        self._task, self._ctx, self._call = task, ctx, call
        self._marker = marker_of(task.request)
        """The epoch of a wake; empty: the message comes from the user."""
        self._plan: GenerationRequest | Exception
        try:
            is_new = not self._marker
            self._plan = request_of(call, ctx.settings, is_new=is_new, needs_key=False)
        except (InputError, ConfigurationError) as exc:
            self._plan = exc  # ignored in a second delivery, whose message has no input
        self.intent = self._intent()

    def submit(self, verdict: Verdict, started: float) -> NoReturn:
        """Submit the generation if the verdict is SUBMIT. End the delivery in any case.

        :raises Ignore: always; the task continues when it is woken, if at all.
        """
        task, ctx, plan, intent = self._task, self._ctx, self._plan, self.intent
        ctx.carry_out(verdict.effects).result()
        if verdict.action is Action.PARKED:
            if intent.fault:
                self._warn_of_fault()
            known = plan if isinstance(plan, GenerationRequest) else None
            generation_parked.send(sender=task, task_id=intent.task_id, plan=known)
        if verdict.action is not Action.SUBMIT:
            _ignore(verdict, intent)
        try:
            if not isinstance(plan, GenerationRequest):
                raise plan  # it was valid when it was parked; since then a file or a key was removed
            self._store_state(plan)
            queue = wake_queue(task, ctx)
            parked = parked_signature(task, queue=queue, epoch=intent.epoch, **self._call.replaced)
        except Exception as exc:
            ctx.carry_out(ctx.finish(refuse(ctx, intent, exc))).result()
            raise Ignore("refused") from None
        ctx.finish(Submission(ctx, plan, intent, parked).send(started, verdict.seconds))
        generation_parked.send(sender=task, task_id=intent.task_id, plan=plan)
        raise Parked(plan.model.name)

    def _warn_of_fault(self) -> None:
        """Log once per process that this worker cannot submit for a profile."""
        profile = self.intent.profile.name
        if self._ctx.is_first("fault", profile):
            logger.warning(
                "this worker leaves submissions of profile %s to other workers: %s",
                profile,
                self.intent.fault,
                extra={"profile": profile},
            )

    def adopt(self) -> None:
        """Record the id of a generation that exists already, and end the delivery. No create request is sent.

        Return if the message is not a valid first message of ``adopt``. Also return if the task has adopted the
        id before, because other tasks may follow this message.

        :raises Ignore: the id is recorded, or its task was cancelled or has ended.
        :raises Retry: this worker has no key for the profile, or Redis does not answer.
        """
        task, ctx, plan, intent = self._task, self._ctx, self._plan, self.intent
        if self._call.remote_id is None or not isinstance(plan, GenerationRequest) or self._marker:
            return
        if intent.fault:  # the record needs the fingerprint of the key that can check it
            self._warn_of_fault()
            raise task.retry(countdown=NO_KEY_RETRY_SECONDS, max_retries=None)
        record = partial(
            ctx.ledger.generations.record_id,
            intent,
            self._call.remote_id,
            parked=intent.signature,
            first_poll_seconds=plan.schedule.seconds(0, random.random()),
            max_wait_seconds=plan.max_wait_seconds,
        )
        recorded = call_or_requeue(ctx, task, record)
        if recorded.result is RecordIdResult.KNOWN:
            return
        is_generating = recorded.result is RecordIdResult.GENERATING
        if is_generating:
            self._store_state(plan)
            generation_parked.send(sender=task, task_id=intent.task_id, plan=plan)
        ctx.carry_out(recorded.effects).result()
        raise Parked(plan.model.name) if is_generating else Ignore(recorded.result.value)

    def _store_state(self, plan: GenerationRequest) -> None:
        """Store the state GENERATING in the result backend, for display only."""
        task = self._task
        try:
            if not task.request.ignore_result and not task.ignore_result:
                task.update_state(state="GENERATING", meta={"model": plan.model.name})
        except Exception as exc:
            extra = {"task_id": task.request.id}
            logger.warning("the state %s was not stored: %r", "GENERATING", exc, extra=extra)

    # -- the intent --------------------------------------------------------------------------

    def _intent(self) -> Intent:
        """Return the intent of the delivery. For a wake, omit the fields that the record already has."""
        task, epoch = self._task, self._marker or new_token()
        common: dict[str, Any] = {
            "task_id": task.request.id,
            "run": new_token(),
            "epoch": epoch,
            "marker": self._marker,
            "signature": {},
            "expires": expires_at(task),
            "worker": str(task.request.hostname or ""),
        }
        if not self._marker:
            queue = self._ctx.settings.wake_queue
            common |= {
                "signature": parked_signature(task, queue=queue, epoch=epoch),
                "tail": tail_of(task),
                "queued_seconds": queued_seconds(task.request),
                "trace": opentelemetry.current_traceparent(),
            }
        if isinstance(self._plan, GenerationRequest):
            return _intent_of(self._plan, common)
        return self._intent_of_error(self._plan, common)

    def _intent_of_error(self, exc: Exception, common: dict[str, Any]) -> Intent:
        """Return the intent of an invalid call, under a profile that this worker has, so that it can claim it."""
        try:
            batch_id, batch_size = self._call.options.batch
        except InputError:
            batch_id = batch_size = None
        known = self._ctx.settings.known_profiles()
        return Intent(
            **common,
            profile=known[0] if known else Profile(name="default", base_url="", api_key=""),
            path="",
            digest="",
            batch_id=batch_id,
            batch_size=batch_size,
            refusal=None if self._marker else refusal_of(exc),
        )


def _intent_of(plan: GenerationRequest, common: dict[str, Any]) -> Intent:
    return Intent(
        **common,
        profile=plan.profile,
        path=plan.path,
        digest=plan.digest,
        model=plan.model_name,
        kind=plan.model.kind,
        label=plan.label,
        batch_id=plan.batch_id,
        batch_size=plan.batch_size,
        interval=plan.interval,
        metadata=metadata_json(plan.metadata),
        fair_key=plan.fair_key or "",
        usd_micros=plan.usd_micros,
        price_line=price_line(plan.model),
        fault="" if plan.profile.api_key else NO_KEY.format(name=plan.profile.name),
    )


def _ignore(verdict: Verdict, intent: Intent) -> NoReturn:
    """Log a delivery that neither submits nor returns an outcome, and end it with ``Ignore``."""
    extra = {"task_id": intent.task_id, "state": verdict.state}
    if verdict.action is Action.DUPLICATE and not verdict.is_same_input:
        logger.warning(
            "a task id was enqueued again with another input; the first input is kept", extra=extra
        )
    elif verdict.action is Action.FULL:
        logger.error(
            "a task id has too many canvases; what follows this message does not run. Use another task "
            "id: the generation is then billed again",
            extra=extra,
        )
    elif verdict.action is Action.ATTACHED:
        logger.info("another canvas of this task id waits for the same generation", extra=extra)
    elif verdict.action is Action.ABANDONED:
        logger.critical("an outcome could not be delivered; its record is kept", extra=extra)
    elif verdict.action not in (Action.PARKED, Action.WAKE):
        logger.info("nothing to do for this message: %s", verdict.action, extra=extra)
    raise Ignore(verdict.action.value)
