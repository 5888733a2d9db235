"""Send the create request of a generation, and record its response.

Everything here runs on the event loop, so that a time limit that interrupts the task cannot keep a billed
id from being recorded.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from mulequeue.api import client
from mulequeue.api.terminal_answer import answer_of, error_of
from mulequeue.engine.generation_request import GenerationRequest, HostFault, refusal_of
from mulequeue.engine.poll.circuit_breaker import Reachability
from mulequeue.engine.poll.poll_plan import first_wait
from mulequeue.engine.redis_retry import retry_forever
from mulequeue.engine.tracing import opentelemetry
from mulequeue.engine.webhook_handler import settle_early
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Effects, Intent, Pause, Recorded, RecordIdResult, Scope, new_token
from mulequeue.outcome import ErrorInfo
from mulequeue.settings import Profile

logger = logging.getLogger("mulequeue")
T = TypeVar("T")

LATEST_START_SECONDS = 10.0
"""A create request is sent at most this long after its intent was written, or not at all."""

RETRY_LATER_FIRST_SECONDS, RETRY_LATER_CEILING_SECONDS = 5.0, 300.0
FIX_CEILING_SECONDS = 60.0
"""Longest pause after 401 and 402: a probe is free, and a fixed key or balance should be noticed soon."""
NOT_SENT_FIRST_SECONDS, NOT_SENT_CEILING_SECONDS = 2.0, 30.0
_WHERE = {
    Scope.WORKER: " (on this worker; other workers continue)",
    Scope.GENERATION: " (for one generation; others continue)",
}
_FIXES = {
    401: "the API rejects the API key: {}. Give the workers a valid key and restart them",
    402: "the balance of the account is too low: {}. Top it up",
}


@dataclass(frozen=True, slots=True)
class Submission:
    """The create request of a generation whose intent is written."""

    ctx: WorkerContext
    plan: GenerationRequest
    intent: Intent
    parked: dict[str, Any]
    """The signature of the message that wakes the task, without its input."""

    async def send(self, started: float, expires_seconds: float | None = None) -> None:
        """Send the create request once, and record its response.

        :param started: time of :func:`steady_clock` before the intent was written.
        :param expires_seconds: after ``started``; the request is not sent later. None: it does not expire.
        """
        expires = math.inf if expires_seconds is None else started + expires_seconds
        effects = await self._send(started, expires)
        await asyncio.wrap_future(self.ctx.carry_out(effects))

    async def _send(self, started: float, expires: float) -> Effects:
        ctx, plan, settings = self.ctx, self.plan, self.ctx.settings
        try:
            if plan.is_body_slow:  # so a file system that hangs delays only inputs with files
                body = await ctx.read_file(plan.body, settings)
            else:
                body = plan.body(settings)
        except HostFault as exc:
            return await self._pause(_not_sent(Scope.GENERATION, str(exc)))
        except Exception as exc:
            return await refuse(ctx, self.intent, exc)
        if steady_clock() - started > LATEST_START_SECONDS / 2:
            started = steady_clock()
            if not await self._extend_lease():
                return Effects()
        latest = min(started + LATEST_START_SECONDS, expires)
        answer = await client.submit(
            plan.profile,
            plan.model.api_path,
            body,
            settings=settings,
            kind=plan.model.kind,
            not_after=lambda: steady_clock() > latest,
        )
        ctx.meter.count_submission(plan.profile.name, answer)
        if isinstance(answer, client.Accepted):
            return await self._record(answer)
        if isinstance(answer, (client.NotSent, client.RetryLater)):
            return await self._requeue(answer)
        return await self._settle(answer)

    async def _write(self, transition: Callable[..., T], *args: Any, **options: Any) -> T:
        """Make a transition of the record; retry until Redis answers."""
        return await retry_forever(self.ctx, partial(transition, self.intent, *args, **options))

    async def _extend_lease(self) -> bool:
        """Restart the lease of a submission whose input took long to read; return False if it was lost."""
        seconds = self.ctx.settings.submit_timeout_seconds
        extend = self.ctx.ledger.generations.extend_lease
        is_extended = await self._write(extend, submit_seconds=seconds)
        if not is_extended:
            logger.warning(
                "gave up a submission: its input took too long to read; nothing was sent",
                extra={"task_id": self.intent.task_id},
            )
        return is_extended

    # -- it was not accepted -----------------------------------------------------------------

    async def _settle(self, answer: client.Refused | client.Unknown) -> Effects:
        """Settle a generation whose create request was rejected, or has no conclusive response."""
        status, error = unconfirmed(answer)
        is_answered = isinstance(answer, client.Refused) and answer.error.status_code is not None
        settle = self.ctx.ledger.generations.settle_submit
        effects = await self._write(settle, status, {"error": error}, is_answered=is_answered)
        logger.warning(
            "create request not confirmed: %s",
            error.get("detail") or error.get("title"),
            extra={"task_id": self.intent.task_id, **error},
        )
        return effects

    async def _requeue(self, answer: client.NotSent | client.RetryLater) -> Effects:
        """Set the record to waiting. Unless it was only too late to send, pause the submissions concerned."""
        if isinstance(answer, client.NotSent) and answer.is_too_late:
            extra = {"task_id": self.intent.task_id}
            logger.warning("a create request was not sent: %s", answer.reason, extra=extra)
            return await self._write(self.ctx.ledger.generations.requeue)
        return await self._pause(_pause_after(self.intent.profile, answer))

    async def _pause(self, pause: Pause) -> Effects:
        effects = await self._write(self.ctx.ledger.generations.requeue, pause)
        # The reason names what has to be fixed (a proxy, a CA bundle, the key), so the line contains it.
        profile = self.intent.profile.name
        extra = {"task_id": self.intent.task_id, "profile": profile, "reason": pause.reason}
        text = pause.reason + _WHERE.get(pause.scope, "")
        logger.warning("submissions paused: %s", text, extra=extra)
        return effects

    # -- the generation exists ---------------------------------------------------------------

    async def _record(self, answer: client.Accepted) -> Effects:
        """Record a billed id; settle the generation if the response or an earlier webhook contains its end."""
        ctx, plan, task_id = self.ctx, self.plan, self.intent.task_id
        remote_id = answer.reply.remote_id
        assert remote_id is not None
        claim_token = "" if answer.reply.state == "active" else new_token()
        recorded = await self._record_id(answer, remote_id, claim_token)
        await ctx.shared(Reachability).record_answer(plan.profile.name)
        extra = {"task_id": task_id, "remote_id": remote_id, "model": plan.model.name}
        logger.info("generation submitted: %s", remote_id, extra=extra)
        if recorded.result is RecordIdResult.ATTACHED:
            logger.critical(
                "the API returned an id after the task had ended; run 'mulequeue resume'",
                extra=extra,
            )
            return recorded.effects
        settled = Effects()
        if claim_token and recorded.result is not RecordIdResult.CANCELLED:
            end = answer_of(answer.reply, plan.model, now=time.time())
            settle = partial(ctx.ledger.generations.settle, task_id, claim_token)
            settled = await retry_forever(ctx, partial(settle, answer.reply.state, end))
        elif recorded.webhook_arrived and not recorded.effects.wakes:  # faster than the response
            settled = await retry_forever(ctx, partial(settle_early, ctx, task_id, remote_id))
        return Effects.merge([recorded.effects, settled])

    async def _record_id(
        self, answer: client.Accepted, remote_id: str, claim_token: str
    ) -> Recorded:
        plan = self.plan
        first = first_wait(self.ctx, plan, random.random())
        waits = [30 if claim_token else first, plan.profile.next_place_seconds(plan.path)]
        record = partial(
            self.ctx.ledger.generations.record_id,
            self.intent,
            remote_id,
            parked=self.parked,
            first_poll_seconds=first,
            max_wait_seconds=plan.max_wait_seconds,
            poll_by_seconds=min(wait for wait in waits if wait is not None),
            claim_token=claim_token,
            api_trace=opentelemetry.api_traceparent(answer.trace_id),
        )
        task_id = self.intent.task_id
        return await retry_forever(self.ctx, record, remote_id=remote_id, task_id=task_id)


async def refuse(ctx: WorkerContext, intent: Intent, exc: Exception) -> Effects:
    """Settle a generation as failed because its create request could not be prepared; nothing was sent."""
    refusal = refusal_of(exc)
    if not isinstance(exc, MuleQueueError):
        logger.error(
            "preparing a create request failed, nothing was sent: %r",
            exc,
            exc_info=exc,
            extra={"task_id": intent.task_id},
        )
    settle = ctx.ledger.generations.settle_submit
    return await retry_forever(ctx, partial(settle, intent, "failed", refusal))


def unconfirmed(
    answer: client.NotSent | client.Refused | client.RetryLater | client.Unknown,
) -> tuple[str, dict[str, Any]]:
    """Return status and error for a create request that the API did not confirm."""
    if isinstance(answer, client.NotSent):
        error = ErrorInfo(type="ServerError", title="No usable response", detail=answer.reason)
        return "failed", error_of(error)
    if not isinstance(answer, client.Unknown):
        return "failed", error_of(answer.error)
    error = ErrorInfo(
        type="SubmitUnknown",
        title="The create request was sent and its response is inconclusive",
        detail=f"{answer.reason}. The generation may exist and may be billed; it is never sent again automatically.",
        status_code=answer.status_code,
    )
    return "submit_unknown", error_of(error)


def _not_sent(scope: Scope, reason: str) -> Pause:
    """Return the pause after a create request that this host could not send."""
    first, ceiling = NOT_SENT_FIRST_SECONDS, NOT_SENT_CEILING_SECONDS
    return Pause(scope=scope, reason=reason, first=first, ceiling=ceiling)


def _pause_after(profile: Profile, answer: client.NotSent | client.RetryLater) -> Pause:
    """Return the pause after a create request that was not sent, or that the API accepts only later."""
    if isinstance(answer, client.NotSent):
        reason = f"{profile.base_url} cannot be reached: {answer.reason}"
        return _not_sent(Scope.WORKER, reason)
    is_key = answer.error.status_code == 401
    return Pause(
        scope=Scope.KEY if is_key else Scope.MODEL,
        reason=_reason(answer),
        seconds=answer.retry_after_seconds,
        first=RETRY_LATER_FIRST_SECONDS,
        ceiling=FIX_CEILING_SECONDS if answer.needs_fix else RETRY_LATER_CEILING_SECONDS,
    )


def _reason(answer: client.RetryLater) -> str:
    """Return why the API accepts the create request only later, and how to fix that."""
    detail = answer.error.detail or answer.error.title or ""
    text = _FIXES.get(answer.error.status_code or 0, "the API rejects more create requests: {}")
    return text.format(detail.rstrip("."))


def steady_clock() -> float:
    """Return seconds of a clock that also runs while the machine sleeps or the process is stopped."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
