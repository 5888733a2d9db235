"""The create request of a generation, and writing down what came of it.

All of it runs on the event loop: a time limit that interrupts the task leaves a paid id to be recorded.
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
from mulequeue.ledger import Intent, Recorded, Wake, new_token

logger = logging.getLogger("mulequeue")

RETRY_LATER_FIRST_SECONDS, RETRY_LATER_CEILING_SECONDS = 5.0, 300.0
NOT_SENT_FIRST_SECONDS, NOT_SENT_CEILING_SECONDS = 2.0, 60.0
LATEST_START_SECONDS = 10.0
"""A POST leaves within this time after its intent, or not at all."""


async def create(
    ctx: WorkerContext,
    plan: GenerationRequest,
    intent: Intent,
    slim: dict[str, Any],
    started: float,
) -> None:
    """POST once and write down what came of it.

    :param started: steady clock, before the intent was written.
    """
    try:
        # Not in the ledger's thread: a file system that hangs would hold up ids that are paid.
        body = await asyncio.to_thread(plan.body, ctx.settings)
    except MuleQueueError as exc:
        refusal = refusal_of(exc)
        wake = await retry_forever(ctx, lambda: ctx.ledger.settle_submit(intent, "failed", refusal))
        await asyncio.wrap_future(ctx.wake([wake]))
        return
    if steady_clock() - started > LATEST_START_SECONDS / 2:
        started = steady_clock()
        if not await retry_forever(ctx, lambda: _extend_lease(ctx, intent)):
            logger.warning(
                "an input took so long to read that its submission was given up; nothing was sent",
                extra={"task_id": intent.task_id},
            )
            return
    answer = await client.submit(
        plan.profile,
        plan.model.api_path,
        body,
        settings=ctx.settings,
        kind=plan.model.kind,
        not_after=lambda: steady_clock() - started > LATEST_START_SECONDS,
    )
    ctx.meter.count_submission(plan.profile.name, answer)
    await _record_answer(ctx, plan, intent, slim, answer)


def _extend_lease(ctx: WorkerContext, intent: Intent) -> bool:
    return ctx.ledger.extend_lease(intent, submit_seconds=ctx.settings.submit_timeout_seconds)


async def _record_answer(
    ctx: WorkerContext,
    plan: GenerationRequest,
    intent: Intent,
    slim: dict[str, Any],
    answer: client.Submitted,
) -> None:
    ledger = ctx.ledger
    if isinstance(answer, client.Accepted):
        await _accepted(ctx, plan, intent, slim, answer)
        return
    if isinstance(answer, (client.NotSent, client.RetryLater)):
        await _requeue(ctx, intent, answer)
        return
    if isinstance(answer, client.Refused):
        status, error = "failed", error_of(answer.error)
    else:
        status, error = "submit_unknown", _unknown_error(answer)
    wake = await retry_forever(ctx, lambda: ledger.settle_submit(intent, status, {"error": error}))
    logger.warning(
        "generation not accepted: %s",
        error.get("detail") or error.get("title"),
        extra={"task_id": intent.task_id, **error},
    )
    await asyncio.wrap_future(ctx.wake([wake]))


def _unknown_error(answer: client.Unknown) -> dict[str, Any]:
    error: dict[str, Any] = {
        "type": "SubmitUnknown",
        "title": "The create request was sent and its answer tells nothing",
        "detail": f"{answer.reason}. It may exist and may be paid; it is never sent again by itself.",
    }
    if answer.status_code is not None:
        error["status_code"] = answer.status_code
    return error


async def _accepted(
    ctx: WorkerContext,
    plan: GenerationRequest,
    intent: Intent,
    slim: dict[str, Any],
    answer: client.Accepted,
) -> None:
    """A paid id: it is written down, however long that takes."""
    reply, remote_id = answer.reply, answer.reply.remote_id
    assert remote_id is not None
    hold = "" if reply.state == "active" else new_token()
    recorded = await _record_id(ctx, plan, intent, slim, remote_id, hold)
    wake = recorded.wake
    extra = {"task_id": intent.task_id, "remote_id": remote_id, "model": plan.model.name}
    logger.info("generation submitted: %s", remote_id, extra=extra)
    if recorded.result == "attached":
        logger.critical(
            "an id arrived after its task had ended; take it up with resume", extra=extra
        )
        return
    if hold and recorded.result in ("generating", "known"):
        wake = await _settle_terminal(ctx, plan, intent.task_id, hold, reply)
    elif wake is None and recorded.webhook_arrived:  # a webhook was faster than this answer
        wake = await retry_forever(ctx, lambda: settle_early(ctx, intent.task_id, remote_id))
    if wake is not None:
        await asyncio.wrap_future(ctx.wake([wake]))
    if recorded.poll_by is not None:
        await ctx.schedule_poll_async(recorded.poll_by)


async def _record_id(
    ctx: WorkerContext,
    plan: GenerationRequest,
    intent: Intent,
    slim: dict[str, Any],
    remote_id: str,
    hold: str,
) -> Recorded:
    """The id is in the ledger."""
    first = first_wait(ctx, plan, random.random())
    looks = [30 if hold else first, plan.profile.next_place_seconds(plan.path)]

    def record() -> Recorded:
        return ctx.ledger.record_id(
            intent,
            remote_id,
            parked=slim,
            first_poll_seconds=first,
            max_wait_seconds=plan.max_wait_seconds,
            poll_by_seconds=min(wait for wait in looks if wait is not None),
            claim_token=hold,
        )

    return await retry_forever(ctx, record, remote_id=remote_id)


async def _settle_terminal(
    ctx: WorkerContext, plan: GenerationRequest, task_id: str, hold: str, reply: TaskReply
) -> Wake | None:
    """The answer to the create tells how it ended: the wake to publish."""
    end = answer_of(
        reply,
        kind=plan.model.kind,
        retention_seconds=plan.model.retention_seconds,
        now=time.time(),
    )
    return await retry_forever(ctx, lambda: ctx.ledger.settle(task_id, hold, reply.state, end))


async def _requeue(
    ctx: WorkerContext, intent: Intent, answer: client.NotSent | client.RetryLater
) -> None:
    """Back to waiting; the profile's submissions pause over the whole fleet."""
    if isinstance(answer, client.RetryLater):
        asked, reason = answer.retry_after_seconds, answer.error.detail or answer.error.title
        first, ceiling = RETRY_LATER_FIRST_SECONDS, RETRY_LATER_CEILING_SECONDS
    else:
        asked, reason = None, answer.reason
        first, ceiling = NOT_SENT_FIRST_SECONDS, NOT_SENT_CEILING_SECONDS
    again, wake = await retry_forever(
        ctx,
        lambda: ctx.ledger.requeue(intent, retry_after_seconds=asked, first=first, ceiling=ceiling),
    )
    extra = {"profile": intent.profile.name, "reason": reason}
    # The reason is what somebody has to mend (a proxy, a CA bundle): it is in the line itself.
    logger.warning("submissions pause: %s", reason, extra=extra)
    await asyncio.wrap_future(ctx.wake([wake]))
    if again is not None:
        await ctx.schedule_poll_async(again)


def steady_clock() -> float:
    """Seconds that also pass while the machine sleeps or the process is stopped."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
