"""Handle one message of ``generate``: submit and park, or return the outcome.

After the intent a delivery ends only in ``Ignore``: every error is settled in the ledger, and the second
delivery returns or raises it. (A task that fails here would fail its chain and chord permanently, while
the generation may be running.)
"""

from __future__ import annotations

import logging
import random
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, NoReturn

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
from mulequeue.engine.followups.member_files import store_files, wake_queue
from mulequeue.engine.generation_call import CallOptions, GenerationCall
from mulequeue.engine.generation_request import GenerationRequest, refusal_of, request_of
from mulequeue.engine.heartbeat import ATTEMPT_SECONDS, DISPATCH_SECONDS, Heartbeat
from mulequeue.engine.ids import check_task_id
from mulequeue.engine.metadata import metadata_json
from mulequeue.engine.redis_retry import call_or_requeue, call_with_retry
from mulequeue.engine.submit.create import create, refuse, steady_clock
from mulequeue.engine.submit.park import (
    Parked,
    expires_at,
    marker_of,
    parked_signature,
    queued_seconds,
)
from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.errors import ConfigurationError, GenerationError, InputError, generation_error
from mulequeue.ledger import Action, Intent, Record, RecordIdResult, Verdict, new_token, outcome_of
from mulequeue.outcome import Outcome, short_form
from mulequeue.settings import Profile
from mulequeue.settings.prices import price_line
from mulequeue.settings.profiles import NO_KEY
from mulequeue.signals import generation_parked, generation_settled

logger = logging.getLogger("mulequeue")
NO_KEY_RETRY_SECONDS = 10
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


def handle_message(task: Any, ctx: WorkerContext, call: GenerationCall) -> dict[str, Any]:
    """Handle one delivery of a generating task; return only the outcome of a second delivery.

    An error of the call becomes the generation's outcome.

    :raises Ignore: the task is parked, or there is nothing to do.
    :raises GenerationError: the outcome did not succeed, with ``on_failure="raise"``.
    :raises InputError: the task id is reserved.
    """
    started = steady_clock()
    check_task_id(task.request.id)
    marker = marker_of(task.request)
    plan = _request_or_error(call, ctx, is_new=not marker)
    intent = _intent(task, ctx, call, plan, marker)
    if call.remote_id is not None and isinstance(plan, GenerationRequest) and not marker:
        _adopt(task, ctx, plan, intent, call.remote_id)
    verdict = _begin_delivery(task, ctx, intent)
    if verdict.action is Action.DELIVER:
        assert verdict.record is not None
        return _return_outcome(task, ctx, verdict.record, intent, call.options)
    try:
        _after_intent(task, ctx, plan, intent, verdict, call, started)
    except RedisError as exc:
        ctx.redis_availability.mark_down(exc)
    except Exception as exc:
        if isinstance(exc, Ignore):
            raise
        # When the lease of the intent ends it is settled as submit_unknown; nothing is sent again.
        logger.exception("a submission failed unexpectedly", extra={"task_id": intent.task_id})
    raise Ignore("the ledger continues it")


def _after_intent(
    task: Any,
    ctx: WorkerContext,
    plan: GenerationRequest | Exception,
    intent: Intent,
    verdict: Verdict,
    call: GenerationCall,
    started: float,
) -> NoReturn:
    """End a delivery that returns no outcome: submit, or leave the task to the ledger.

    :raises Ignore: always, unless it fails.
    """
    ctx.carry_out(verdict.effects).result()
    if intent.fault and verdict.action is Action.PARKED:
        _warn_of_fault(ctx, intent)
    if verdict.action is not Action.SUBMIT:
        if verdict.action is Action.PARKED:
            generation_parked.send(sender=task, task_id=intent.task_id, plan=plan)
        _ignore(verdict, intent)
    if not isinstance(plan, GenerationRequest):
        # The call was valid when it was parked: since then a file or a key was removed.
        ctx.carry_out(
            ctx.ledger.generations.settle_submit(intent, "failed", refusal_of(plan))
        ).result()
        raise Ignore("refused")
    _store_state(task, plan)
    try:
        slim = parked_signature(
            task, queue=wake_queue(task, ctx), epoch=intent.epoch, **call.replaced
        )
    except Exception as exc:
        ctx.carry_out(ctx.finish(refuse(ctx, intent, exc))).result()
        raise Ignore("refused") from None
    ctx.finish(create(ctx, plan, intent, slim, started, verdict.seconds))
    generation_parked.send(sender=task, task_id=intent.task_id, plan=plan)
    raise Parked(plan.model.name)


def _warn_of_fault(ctx: WorkerContext, intent: Intent) -> None:
    """Log once per process that this worker cannot submit for a profile."""
    warned = ctx.state.setdefault("warned_of_faults", set())
    if intent.profile.name not in warned:
        warned.add(intent.profile.name)
        logger.warning(
            "this worker leaves submissions of profile %s to other workers: %s",
            intent.profile.name,
            intent.fault,
            extra={"profile": intent.profile.name},
        )


def _adopt(
    task: Any, ctx: WorkerContext, plan: GenerationRequest, intent: Intent, remote_id: str
) -> None:
    """Record the id of a generation that exists already; from then on it is handled like any other.

    Return if the task has adopted it before: tasks of another canvas may follow this message.
    """
    if intent.fault:  # the record needs the fingerprint of the key that can check it
        _warn_of_fault(ctx, intent)
        raise task.retry(countdown=NO_KEY_RETRY_SECONDS, max_retries=None)
    first = plan.schedule.seconds(0, random.random())
    recorded = call_or_requeue(
        ctx,
        task,
        lambda: ctx.ledger.generations.record_id(
            intent,
            remote_id,
            parked=intent.signature,
            first_poll_seconds=first,
            max_wait_seconds=plan.max_wait_seconds,
        ),
    )
    if recorded.result is RecordIdResult.KNOWN:
        return
    is_generating = recorded.result is RecordIdResult.GENERATING
    if is_generating:
        _store_state(task, plan)
        generation_parked.send(sender=task, task_id=intent.task_id, plan=plan)
    ctx.carry_out(recorded.effects).result()
    raise Parked(plan.model.name) if is_generating else Ignore(recorded.result.value)


def _request_or_error(
    call: GenerationCall, ctx: WorkerContext, *, is_new: bool
) -> GenerationRequest | Exception:
    """Return the checked call, or its error.

    (The message of a second delivery has no input, so an error has no meaning there.)
    """
    try:
        return request_of(call, ctx.settings, is_new=is_new, needs_key=False)
    except (InputError, ConfigurationError) as exc:
        return exc


def _intent(
    task: Any,
    ctx: WorkerContext,
    call: GenerationCall,
    plan: GenerationRequest | Exception,
    marker: str,
) -> Intent:
    epoch = marker or new_token()
    signature = {} if marker else parked_signature(task, queue=ctx.settings.wake_queue, epoch=epoch)
    common = {
        "task_id": task.request.id,
        "run": new_token(),
        "epoch": epoch,
        "marker": marker,
        "signature": signature,
        "tail": None if marker else tail_of(task),
        "expires": expires_at(task),
        "worker": str(task.request.hostname or ""),
        "queued_seconds": None if marker else queued_seconds(task.request),
        "trace": "" if marker else tracing.current_traceparent(),
    }
    if isinstance(plan, GenerationRequest):
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
    try:
        batch_id, batch_size = call.options.batch
    except InputError:
        batch_id = batch_size = None
    # A refused call has no profile; any profile of this worker can claim its record.
    known = ctx.settings.known_profiles()
    return Intent(
        **common,
        profile=known[0] if known else Profile(name="default", base_url="", api_key=""),
        path="",
        digest="",
        batch_id=batch_id,
        batch_size=batch_size,
        refusal=None if marker else refusal_of(plan),
    )


def _begin_delivery(task: Any, ctx: WorkerContext, intent: Intent) -> Verdict:
    """Return the ledger's verdict; while Redis is unavailable the message is requeued."""
    seconds = ctx.settings.submit_timeout_seconds
    begin = ctx.ledger.generations.begin_delivery
    return call_or_requeue(ctx, task, lambda: begin(intent, submit_seconds=seconds))


def _ignore(verdict: Verdict, intent: Intent) -> NoReturn:
    """Log a delivery that neither submits nor returns an outcome, and end it."""
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


def _store_state(task: Any, plan: GenerationRequest) -> None:
    """Store the state GENERATING in the result backend; only people read it."""
    try:
        if not task.request.ignore_result and not task.ignore_result:
            task.update_state(state="GENERATING", meta={"model": plan.model.name})
    except Exception as exc:
        extra = {"task_id": task.request.id}
        logger.warning("the state %s was not stored: %r", "GENERATING", exc, extra=extra)


def _return_outcome(
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
