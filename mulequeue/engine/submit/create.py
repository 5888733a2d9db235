"""Send the create request of a generation, and record its response.

All of it runs on the event loop: a time limit that interrupts the task does not keep a billed id from
being recorded.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Any

from mulequeue.api import client
from mulequeue.api.parsing import TaskReply
from mulequeue.api.terminal_answer import answer_of, error_of
from mulequeue.engine.generation_request import GenerationRequest, refusal_of
from mulequeue.engine.poll.durations import first_wait
from mulequeue.engine.redis_retry import retry_forever
from mulequeue.engine.webhook_handler import settle_early
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Effects, Intent, Recorded, RecordIdResult, new_token

logger = logging.getLogger("mulequeue")

RETRY_LATER_FIRST_SECONDS, RETRY_LATER_CEILING_SECONDS = 5.0, 300.0
NOT_SENT_FIRST_SECONDS, NOT_SENT_CEILING_SECONDS = 2.0, 60.0
LATEST_START_SECONDS = 10.0
"""A create request is sent within this time after its intent, or not at all."""


async def create(
    ctx: WorkerContext,
    plan: GenerationRequest,
    intent: Intent,
    slim: dict[str, Any],
    started: float,
) -> None:
    """Send the create request once, and record its response.

    :param slim: the signature that wakes the task, without its input.
    :param started: steady clock, before the intent was written.
    """
    effects = await _create(ctx, plan, intent, slim, started)
    await asyncio.wrap_future(ctx.carry_out(effects))


async def _create(
    ctx: WorkerContext,
    plan: GenerationRequest,
    intent: Intent,
    slim: dict[str, Any],
    started: float,
) -> Effects:
    generations = ctx.ledger.generations
    try:
        # Not in the ledger's thread: a file system that hangs would delay recording billed ids.
        body = await asyncio.to_thread(plan.body, ctx.settings)
    except MuleQueueError as exc:
        refusal = refusal_of(exc)
        return await retry_forever(
            ctx, lambda: generations.settle_submit(intent, "failed", refusal)
        )
    if steady_clock() - started > LATEST_START_SECONDS / 2:
        started, seconds = steady_clock(), ctx.settings.submit_timeout_seconds
        if not await retry_forever(
            ctx, lambda: generations.extend_lease(intent, submit_seconds=seconds)
        ):
            logger.warning(
                "gave up a submission: its input took too long to read; nothing was sent",
                extra={"task_id": intent.task_id},
            )
            return Effects()
    answer = await client.submit(
        plan.profile,
        plan.model.api_path,
        body,
        settings=ctx.settings,
        kind=plan.model.kind,
        not_after=lambda: steady_clock() - started > LATEST_START_SECONDS,
    )
    ctx.meter.count_submission(plan.profile.name, answer)
    if isinstance(answer, client.Accepted):
        return await _record_accepted(ctx, plan, intent, slim, answer.reply)
    if isinstance(answer, (client.NotSent, client.RetryLater)):
        return await _requeue(ctx, intent, answer)
    return await _settle(ctx, intent, answer)


async def _settle(
    ctx: WorkerContext, intent: Intent, answer: client.Refused | client.Unknown
) -> Effects:
    """Settle a create that the API rejected, or whose response is unknown."""
    if isinstance(answer, client.Refused):
        status, error = "failed", error_of(answer.error)
    else:
        status, error = "submit_unknown", _unknown_error(answer)
    effects = await retry_forever(
        ctx, lambda: ctx.ledger.generations.settle_submit(intent, status, {"error": error})
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
    reply: TaskReply,
) -> Effects:
    """Record a billed id, and its end if that is known already."""
    remote_id = reply.remote_id
    assert remote_id is not None
    claim_token = "" if reply.state == "active" else new_token()
    recorded = await _record_id(ctx, plan, intent, slim, remote_id, claim_token)
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
    remote_id: str,
    claim_token: str,
) -> Recorded:
    """Record the id in the ledger, for as long as that takes."""
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
        )

    return await retry_forever(ctx, record, remote_id=remote_id)


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
    """Move the record back to waiting; the profile's submissions pause, fleet-wide."""
    if isinstance(answer, client.RetryLater):
        asked, reason = answer.retry_after_seconds, answer.error.detail or answer.error.title
        first, ceiling = RETRY_LATER_FIRST_SECONDS, RETRY_LATER_CEILING_SECONDS
    else:
        asked, reason = None, answer.reason
        first, ceiling = NOT_SENT_FIRST_SECONDS, NOT_SENT_CEILING_SECONDS
    effects = await retry_forever(
        ctx,
        lambda: ctx.ledger.generations.requeue(
            intent, retry_after_seconds=asked, first=first, ceiling=ceiling
        ),
    )
    extra = {"profile": intent.profile.name, "reason": reason}
    # The reason names what has to be fixed (a proxy, a CA bundle), so the line itself contains it.
    logger.warning("submissions paused: %s", reason, extra=extra)
    return effects


def steady_clock() -> float:
    """Return seconds of a clock that also runs while the machine sleeps or the process is stopped."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
