"""A delivery of ``generate``: write the intent, POST once, record the id, park.

After the intent a delivery ends only in ``Ignore``: whatever goes wrong is settled in the ledger, and
the second delivery returns or raises it. (A task that fails here would fail its chain and chord for
good, while the generation may well be running.)
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
from mulequeue.engine.submit.return_outcome import return_outcome
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.ledger import Action, Intent, Verdict, new_token
from mulequeue.settings import Profile
from mulequeue.signals import generation_parked

logger = logging.getLogger("mulequeue")


def handle_message(
    task: Any,
    ctx: WorkerContext,
    make_plan: Callable[[], GenerationRequest],
    *,
    on_failure: str,
    slim_args: Sequence[Any],
    remote_id: str | None = None,
) -> Any:
    """What one delivery of a generating task does; returns only on the delivery of an outcome.

    :param make_plan: checks the call; an error of it is the generation's outcome.
    :param on_failure: ``raise`` or ``return`` an outcome that did not succeed.
    :param slim_args: the positional arguments without the input, for the message that wakes it.
    :param remote_id: of a generation that exists already: nothing is POSTed.
    :raises Ignore: the task is parked, or there is nothing to do.
    :raises GenerationError: the outcome did not succeed, with ``on_failure="raise"``.
    """
    started = steady_clock()
    run, epoch, marker = new_token(), new_token(), marker_of(task.request)
    plan = _request_or_error(make_plan)
    intent = _intent(task, ctx, plan, run=run, epoch=marker or epoch, marker=marker)
    if remote_id is not None and isinstance(plan, GenerationRequest) and not marker:
        _adopt(task, ctx, plan, intent, remote_id)
    verdict = _verdict(task, ctx, intent)
    if verdict.action == Action.DELIVER:
        return return_outcome(task, ctx, verdict, intent.epoch, run=run, on_failure=on_failure)
    if verdict.action != Action.SUBMIT:
        if verdict.action == Action.PARKED:
            generation_parked.send(sender=task, task_id=intent.task_id, plan=plan)
        _ignore(ctx, verdict, intent)
    if verdict.poll_by is not None:  # others wait, and may go now
        ctx.schedule_poll(verdict.poll_by)
    if not isinstance(plan, GenerationRequest):
        # Good when it was parked, not any more: a file is gone, a key was taken away.
        ctx.wake([ctx.ledger.settle_submit(intent, "failed", refusal_of(plan))]).result()
        raise Ignore("refused")
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
        # The intent's lease ends in submit_unknown; nothing is sent a second time.
        logger.exception("a submission broke off", extra={"task_id": intent.task_id})
    raise Parked(plan.model.name)


def _adopt(
    task: Any, ctx: WorkerContext, plan: GenerationRequest, intent: Intent, remote_id: str
) -> NoReturn:
    """Record an id that the API knows already; from there it is a generation like any other."""
    first = plan.schedule.seconds(0, random.random())

    def record() -> Any:
        return ctx.ledger.record_id(
            intent,
            remote_id,
            parked=intent.signature,
            first_poll_seconds=first,
            max_wait_seconds=plan.max_wait_seconds,
        )

    recorded = call_or_requeue(task, record)
    if recorded.result == "generating":
        _store_state(task, plan)
        generation_parked.send(sender=task, task_id=intent.task_id, plan=plan)
    if recorded.wake is not None:
        ctx.wake([recorded.wake]).result()
    if recorded.poll_by is not None:
        ctx.schedule_poll(recorded.poll_by)
    raise Parked(plan.model.name) if recorded.result == "generating" else Ignore(recorded.result)


def _request_or_error(make_plan: Callable[[], GenerationRequest]) -> GenerationRequest | Exception:
    """The plan, or the error that stands for it.

    (A message woken with its outcome has lost its input, so an error says nothing then.)
    """
    try:
        return make_plan()
    except (InputError, ConfigurationError) as exc:
        return exc


def _intent(
    task: Any,
    ctx: WorkerContext,
    plan: GenerationRequest | Exception,
    *,
    run: str,
    epoch: str,
    marker: str,
) -> Intent:
    signature = {} if marker else parked_signature(task, queue=ctx.settings.wake_queue, epoch=epoch)
    common = {
        "task_id": task.request.id,
        "run": run,
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
    return Intent(
        **common,
        profile=_any_profile(ctx),
        path="",
        digest="",
        batch_id=kwargs.get("batch_id"),
        batch_size=kwargs.get("batch_size"),
        refusal=None if marker else refusal_of(plan),
    )


def _any_profile(ctx: WorkerContext) -> Profile:
    """A profile this worker can claim by: a refused call has none of its own."""
    known = ctx.settings.known_profiles()
    return known[0] if known else Profile(name="default", base_url="", api_key="")


def _verdict(task: Any, ctx: WorkerContext, intent: Intent) -> Verdict:
    """The ledger's verdict; while Redis is away the message is kept alive, never lost."""
    if intent.task_id.startswith(("transfer:", "gate:")):
        raise InputError("A task id must not start with 'transfer:' or 'gate:'.")
    seconds = ctx.settings.submit_timeout_seconds

    return call_or_requeue(task, lambda: ctx.ledger.begin_delivery(intent, submit_seconds=seconds))


def _ignore(ctx: WorkerContext, verdict: Verdict, intent: Intent) -> NoReturn:
    """Everything that is neither a submission nor a delivery."""
    extra = {"task_id": intent.task_id, "state": verdict.state}
    if verdict.action == Action.PARKED and verdict.poll_by is not None:
        ctx.schedule_poll(verdict.poll_by)
    elif verdict.action == Action.WAKE:
        ctx.wake([verdict.wake]).result()
        ctx.schedule_poll(ctx.ledger.now() + 30)
    elif verdict.action == Action.DUPLICATE and not verdict.is_same_input:
        logger.warning(
            "a task id was enqueued again with another input; the first one stands", extra=extra
        )
    elif verdict.action == Action.ABANDONED:
        logger.critical("an outcome could not be handed on; its record is kept", extra=extra)
    else:
        logger.info("nothing to do for this message: %s", verdict.action, extra=extra)
    raise Ignore(verdict.action.value)


def _store_state(task: Any, plan: GenerationRequest) -> None:
    """The one state of the whole wait; it is only for people."""
    try:
        if not task.request.ignore_result and not task.ignore_result:
            task.update_state(state="GENERATING", meta={"model": plan.model.name})
    except Exception as exc:
        logger.warning("the state GENERATING was not stored: %r", exc)
