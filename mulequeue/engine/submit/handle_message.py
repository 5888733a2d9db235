"""Handle one message of ``generate``: submit and park, or return the outcome.

After the intent a delivery ends only in ``Ignore``: every error is settled in the ledger, and the second
delivery returns or raises it. (A task that fails here would fail its chain and chord permanently, while
the generation may be running.)
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from celery.exceptions import Ignore
from redis.exceptions import RedisError

from mulequeue.engine.generation_request import GenerationRequest, refusal_of
from mulequeue.engine.redis_retry import call_or_requeue
from mulequeue.engine.submit.create import create, steady_clock
from mulequeue.engine.submit.park import Parked, marker_of, parked_signature
from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.errors import ConfigurationError, GenerationError, InputError, generation_error
from mulequeue.ledger import Action, Intent, Record, RecordIdResult, Verdict, new_token, outcome_of
from mulequeue.settings import Profile
from mulequeue.signals import generation_parked, generation_settled

logger = logging.getLogger("mulequeue")
_RETURNED = "mulequeue_handed_over"


def handle_message(
    task: Any,
    ctx: WorkerContext,
    make_plan: Callable[[], GenerationRequest],
    *,
    on_failure: str,
    slim_args: Sequence[Any],
    remote_id: str | None = None,
) -> dict[str, Any]:
    """Handle one delivery of a generating task; return only the outcome of a second delivery.

    :param make_plan: checks the call; an error of it becomes the generation's outcome.
    :param on_failure: ``raise`` or ``return`` an outcome that did not succeed.
    :param slim_args: the positional arguments without the input, for the message that wakes it.
    :param remote_id: of a generation that exists already: no create request is sent.
    :raises Ignore: the task is parked, or there is nothing to do.
    :raises GenerationError: the outcome did not succeed, with ``on_failure="raise"``.
    """
    started = steady_clock()
    marker = marker_of(task.request)
    plan = _request_or_error(make_plan)
    intent = _intent(task, ctx, plan, marker)
    if remote_id is not None and isinstance(plan, GenerationRequest) and not marker:
        _adopt(task, ctx, plan, intent, remote_id)
    verdict = _begin_delivery(task, ctx, intent)
    if verdict.action is Action.DELIVER:
        assert verdict.record is not None
        return _return_outcome(task, verdict.record, intent.epoch, on_failure=on_failure)
    ctx.carry_out(verdict.effects).result()
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
    _submit(task, ctx, plan, intent, slim_args, started)
    raise Parked(plan.model.name)


def _submit(
    task: Any,
    ctx: WorkerContext,
    plan: GenerationRequest,
    intent: Intent,
    slim_args: Sequence[Any],
    started: float,
) -> None:
    """Send the create request. No error leaves this function, because the intent is written."""
    try:
        _store_state(task, plan)
        slim = parked_signature(
            task, queue=ctx.settings.wake_queue, epoch=intent.epoch, args=slim_args
        )
        ctx.finish(create(ctx, plan, intent, slim, started))
        generation_parked.send(sender=task, task_id=intent.task_id, plan=plan)
    except RedisError as exc:
        ctx.redis_availability.mark_down(exc)
    except Exception:
        # When the lease of the intent ends it is settled as submit_unknown; nothing is sent again.
        logger.exception("a submission failed unexpectedly", extra={"task_id": intent.task_id})


def _adopt(
    task: Any, ctx: WorkerContext, plan: GenerationRequest, intent: Intent, remote_id: str
) -> NoReturn:
    """Record the id of a generation that exists already; from then on it is handled like any other."""
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
    is_generating = recorded.result is RecordIdResult.GENERATING
    if is_generating:
        _store_state(task, plan)
        generation_parked.send(sender=task, task_id=intent.task_id, plan=plan)
    ctx.carry_out(recorded.effects).result()
    raise Parked(plan.model.name) if is_generating else Ignore(recorded.result.value)


def _request_or_error(make_plan: Callable[[], GenerationRequest]) -> GenerationRequest | Exception:
    """Return the checked call, or its error.

    (The message of a second delivery has no input, so an error has no meaning there.)
    """
    try:
        return make_plan()
    except (InputError, ConfigurationError) as exc:
        return exc


def _intent(
    task: Any, ctx: WorkerContext, plan: GenerationRequest | Exception, marker: str
) -> Intent:
    epoch = marker or new_token()
    signature = {} if marker else parked_signature(task, queue=ctx.settings.wake_queue, epoch=epoch)
    common = {
        "task_id": task.request.id,
        "run": new_token(),
        "epoch": epoch,
        "marker": marker,
        "signature": signature,
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
        )
    kwargs = task.request.kwargs or {}
    # A refused call has no profile; any profile of this worker can claim its record.
    known = ctx.settings.known_profiles()
    return Intent(
        **common,
        profile=known[0] if known else Profile(name="default", base_url="", api_key=""),
        path="",
        digest="",
        batch_id=kwargs.get("batch_id"),
        batch_size=kwargs.get("batch_size"),
        refusal=None if marker else refusal_of(plan),
    )


def _begin_delivery(task: Any, ctx: WorkerContext, intent: Intent) -> Verdict:
    """Return the ledger's verdict; while Redis is unavailable the message is requeued."""
    if intent.task_id.startswith(("transfer:", "gate:")):
        raise InputError("A task id must not start with 'transfer:' or 'gate:'.")
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
        logger.warning("the state GENERATING was not stored: %r", exc)


def _return_outcome(task: Any, record: Record, epoch: str, *, on_failure: str) -> dict[str, Any]:
    """Return or raise the outcome; the record stays ``delivering`` until :func:`on_dispatched`.

    :raises GenerationError: it did not succeed, with ``on_failure="raise"``.
    """
    setattr(task.request, _RETURNED, (record.task_id, epoch))
    outcome = outcome_of(record)
    generation_settled.send(sender=task, task_id=record.task_id, outcome=outcome)
    if record.batch is not None:
        return {"task_id": record.task_id, "status": outcome.status, "files": []}
    if outcome.succeeded or on_failure == "return":
        return outcome.to_dict()
    if task.request.chord:
        logger.warning(
            "a generation that did not succeed fails its whole chord; set "
            "on_failure='return' to pass the outcome to the body",
            extra={"task_id": record.task_id, "status": outcome.status},
        )
    raise generation_error(outcome.to_dict())


def on_dispatched(task: Any, exc: BaseException | None = None) -> None:
    """Mark the record as delivered. Celery calls this after it dispatched what follows the task.

    After any other failure (a publish that did not work) the record is woken again.
    """
    returned = getattr(task.request, _RETURNED, None)
    if returned is None or not (exc is None or isinstance(exc, GenerationError)):
        return
    ctx = worker_context(task.app)
    ctx.ledger.generations.end_delivery(*returned, ttl_seconds=ctx.settings.record_ttl_seconds)
