"""Send the create request of a generation, and record its response.

All of it runs on the event loop: a time limit that interrupts the task does not keep a billed id from
being recorded.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from typing import Any

from mulequeue.api import client
from mulequeue.api.parsing import TaskReply
from mulequeue.api.terminal_answer import answer_of, error_of
from mulequeue.engine import tracing
from mulequeue.engine.generation_request import GenerationRequest, HostFault, refusal_of
from mulequeue.engine.poll.durations import first_wait
from mulequeue.engine.reachability import Reachability
from mulequeue.engine.redis_retry import retry_forever
from mulequeue.engine.submit.pauses import pause_after, pause_of_generation, pause_text
from mulequeue.engine.webhook_handler import settle_early
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Effects, Intent, Pause, Recorded, RecordIdResult, new_token

logger = logging.getLogger("mulequeue")

LATEST_START_SECONDS = 10.0
"""A create request is sent within this time after its intent, or not at all."""


async def create(
    ctx: WorkerContext,
    plan: GenerationRequest,
    intent: Intent,
    slim: dict[str, Any],
    started: float,
    expires_seconds: float | None = None,
) -> None:
    """Send the create request once, and record its response.

    :param slim: the signature that wakes the task, without its input.
    :param started: steady clock, before the intent was written.
    :param expires_seconds: after ``started``, when it must no longer be sent; None: it does not expire.
    """
    expires = math.inf if expires_seconds is None else started + expires_seconds
    effects = await _create(ctx, plan, intent, slim, started, expires)
    await asyncio.wrap_future(ctx.carry_out(effects))


async def _create(
    ctx: WorkerContext,
    plan: GenerationRequest,
    intent: Intent,
    slim: dict[str, Any],
    started: float,
    expires: float,
) -> Effects:
    try:
        body = await _body(ctx, plan)
    except HostFault as exc:
        return await _pause(ctx, intent, pause_of_generation(str(exc)))
    except Exception as exc:
        return await refuse(ctx, intent, exc)
    if steady_clock() - started > LATEST_START_SECONDS / 2:
        started = steady_clock()
        if not await _extend_lease(ctx, intent):
            return Effects()
    latest = min(started + LATEST_START_SECONDS, expires)
    answer = await client.submit(
        plan.profile,
        plan.model.api_path,
        body,
        settings=ctx.settings,
        kind=plan.model.kind,
        not_after=lambda: steady_clock() > latest,
    )
    ctx.meter.count_submission(plan.profile.name, answer)
    if isinstance(answer, client.Accepted):
        return await _record_accepted(ctx, plan, intent, slim, answer)
    if isinstance(answer, (client.NotSent, client.RetryLater)):
        return await _requeue(ctx, intent, answer)
    return await _settle(ctx, intent, answer)


async def _body(ctx: WorkerContext, plan: GenerationRequest) -> dict[str, Any]:
    """Return the body of the request. A file system that hangs delays only inputs with files."""
    if plan.is_body_slow:
        return await ctx.read_file(plan.body, ctx.settings)
    return plan.body(ctx.settings)


async def _extend_lease(ctx: WorkerContext, intent: Intent) -> bool:
    """Restart the lease of a submission whose input took long to read; False if it was lost."""
    extend, seconds = ctx.ledger.generations.extend_lease, ctx.settings.submit_timeout_seconds
    is_extended = await retry_forever(ctx, lambda: extend(intent, submit_seconds=seconds))
    if not is_extended:
        logger.warning(
            "gave up a submission: its input took too long to read; nothing was sent",
            extra={"task_id": intent.task_id},
        )
    return is_extended


async def refuse(ctx: WorkerContext, intent: Intent, exc: Exception) -> Effects:
    """Settle a create that failed before any byte of it was sent."""
    refusal = refusal_of(exc)
    if not isinstance(exc, MuleQueueError):
        logger.error(
            "preparing a create request failed, nothing was sent: %r",
            exc,
            exc_info=exc,
            extra={"task_id": intent.task_id},
        )
    return await retry_forever(
        ctx, lambda: ctx.ledger.generations.settle_submit(intent, "failed", refusal)
    )


async def _settle(
    ctx: WorkerContext, intent: Intent, answer: client.Refused | client.Unknown
) -> Effects:
    """Settle a create that the API rejected, or whose response is unknown."""
    if isinstance(answer, client.Refused):
        status, error = "failed", error_of(answer.error)
    else:
        status, error = "submit_unknown", _unknown_error(answer)
    is_answered = isinstance(answer, client.Refused) and answer.error.status_code is not None
    effects = await retry_forever(
        ctx,
        lambda: ctx.ledger.generations.settle_submit(
            intent, status, {"error": error}, is_answered=is_answered
        ),
    )
    logger.warning(
        "create request not confirmed: %s",
        error.get("detail") or error.get("title"),
        extra={"task_id": intent.task_id, **error},
    )
    return effects


def _unknown_error(answer: client.Unknown) -> dict[str, Any]:
    error: dict[str, Any] = {
        "type": "SubmitUnknown",
        "title": "The create request was sent and its response is inconclusive",
        "detail": f"{answer.reason}. The generation may exist and may be billed; it is never sent again automatically.",
    }
    if answer.status_code is not None:
        error["status_code"] = answer.status_code
    return error


async def _record_accepted(
    ctx: WorkerContext,
    plan: GenerationRequest,
    intent: Intent,
    slim: dict[str, Any],
    answer: client.Accepted,
) -> Effects:
    """Record a billed id, and its end if that is known already."""
    reply = answer.reply
    remote_id = reply.remote_id
    assert remote_id is not None
    claim_token = "" if reply.state == "active" else new_token()
    recorded = await _record_id(ctx, plan, intent, slim, answer, claim_token)
    await Reachability.of(ctx).record_answer(plan.profile.name)
    extra = {"task_id": intent.task_id, "remote_id": remote_id, "model": plan.model.name}
    logger.info("generation submitted: %s", remote_id, extra=extra)
    if recorded.result is RecordIdResult.ATTACHED:
        logger.critical(
            "the API returned an id after the task had ended; run 'mulequeue resume'", extra=extra
        )
        return recorded.effects
    settled = Effects()
    if claim_token and recorded.result is not RecordIdResult.CANCELLED:
        settled = await _settle_terminal(ctx, plan, intent.task_id, claim_token, reply)
    elif recorded.webhook_arrived and not recorded.effects.wakes:  # faster than the response
        settled = await retry_forever(ctx, lambda: settle_early(ctx, intent.task_id, remote_id))
    return Effects.merge([recorded.effects, settled])


async def _record_id(
    ctx: WorkerContext,
    plan: GenerationRequest,
    intent: Intent,
    slim: dict[str, Any],
    answer: client.Accepted,
    claim_token: str,
) -> Recorded:
    """Record the id in the ledger; retry until Redis answers."""
    remote_id = answer.reply.remote_id
    assert remote_id is not None
    first = first_wait(ctx, plan, random.random())
    waits = [30 if claim_token else first, plan.profile.next_place_seconds(plan.path)]

    def record() -> Recorded:
        return ctx.ledger.generations.record_id(
            intent,
            remote_id,
            parked=slim,
            first_poll_seconds=first,
            max_wait_seconds=plan.max_wait_seconds,
            poll_by_seconds=min(wait for wait in waits if wait is not None),
            claim_token=claim_token,
            api_trace=tracing.api_traceparent(answer.trace_id),
        )

    return await retry_forever(ctx, record, remote_id=remote_id, task_id=intent.task_id)


async def _settle_terminal(
    ctx: WorkerContext, plan: GenerationRequest, task_id: str, claim_token: str, reply: TaskReply
) -> Effects:
    """Settle a generation whose end is in the response to the create."""
    end = answer_of(
        reply,
        kind=plan.model.kind,
        retention_seconds=plan.model.retention_seconds,
        now=time.time(),
    )
    return await retry_forever(
        ctx, lambda: ctx.ledger.generations.settle(task_id, claim_token, reply.state, end)
    )


async def _requeue(
    ctx: WorkerContext, intent: Intent, answer: client.NotSent | client.RetryLater
) -> Effects:
    """Move the record back to waiting, and pause what the answer concerns."""
    if isinstance(answer, client.NotSent) and answer.is_too_late:
        extra = {"task_id": intent.task_id}
        logger.warning("a create request was not sent: %s", answer.reason, extra=extra)
        return await retry_forever(ctx, lambda: ctx.ledger.generations.requeue(intent))
    return await _pause(ctx, intent, pause_after(intent.profile, answer))


async def _pause(ctx: WorkerContext, intent: Intent, pause: Pause) -> Effects:
    effects = await retry_forever(ctx, lambda: ctx.ledger.generations.requeue(intent, pause))
    # The reason names what has to be fixed (a proxy, a CA bundle, the key), so the line contains it.
    profile = intent.profile.name
    extra = {"task_id": intent.task_id, "profile": profile, "reason": pause.reason}
    logger.warning("submissions paused: %s", pause_text(pause), extra=extra)
    return effects


def steady_clock() -> float:
    """Return seconds of a clock that also runs while the machine sleeps or the process is stopped."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
