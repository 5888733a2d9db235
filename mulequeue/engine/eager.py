"""Run ``generate`` when it is called directly or eagerly: wait for the outcome, without Redis."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import Any

from mulequeue.api import client, status_checks
from mulequeue.api.terminal_answer import answer_of
from mulequeue.catalog.poll_schedule import backoff_seconds
from mulequeue.engine.generation_request import GenerationRequest
from mulequeue.engine.poll.decide import PollAgain, decide
from mulequeue.ledger.records import iso
from mulequeue.ledger.types import Due
from mulequeue.outcome import Asset, ErrorInfo, Outcome
from mulequeue.settings import Settings


def generate_inline(
    plan: GenerationRequest, settings: Settings, *, task_id: str, remote_id: str | None = None
) -> Outcome:
    """Submit and wait. The create request is repeated only if the API did not create a generation.

    :param remote_id: of a generation that exists already: no create request is sent.
    :raises InputError: the input cannot be sent.
    """
    if remote_id is not None:
        return _poll(plan, settings, task_id, remote_id, time.time())
    body = plan.body(settings)
    gives_up = time.monotonic() + plan.max_wait_seconds
    attempt = 0
    while True:
        submitted = time.time()
        answer = client.submit_once(
            plan.profile, plan.model.api_path, body, settings=settings, kind=plan.model.kind
        )
        if isinstance(answer, client.Accepted):
            return _accepted(plan, settings, task_id, answer, submitted)
        wait = backoff_seconds(attempt, first=2, ceiling=60, chance=random.random())
        if isinstance(answer, client.RetryLater):
            wait = max(wait, answer.retry_after_seconds or 0)
        is_final = isinstance(answer, (client.Refused, client.Unknown))
        if is_final or time.monotonic() + wait > gives_up:
            return _outcome(plan, task_id, *_end_of(answer), submitted=submitted)
        time.sleep(wait)
        attempt += 1


def _accepted(
    plan: GenerationRequest,
    settings: Settings,
    task_id: str,
    answer: client.Accepted,
    submitted: float,
) -> Outcome:
    reply = answer.reply
    assert reply.remote_id is not None
    if reply.state == "active":
        return _poll(plan, settings, task_id, reply.remote_id, submitted)
    end = answer_of(
        reply,
        kind=plan.model.kind,
        retention_seconds=plan.model.retention_seconds,
        now=time.time(),
    )
    return _outcome(plan, task_id, reply.state, end, submitted=submitted, remote_id=reply.remote_id)


def _poll(
    plan: GenerationRequest, settings: Settings, task_id: str, remote_id: str, submitted: float
) -> Outcome:
    due = _first_check(plan, task_id, remote_id, submitted)
    wait = plan.schedule.seconds(0, random.random())
    while True:
        time.sleep(wait)
        found = status_checks.fetch_once(
            plan.profile, plan.model.api_path, remote_id, settings=settings, kind=plan.model.kind
        )
        now = time.time()
        decision = decide(
            due,
            found,
            now=now,
            chance=random.random(),
            grace_seconds=settings.not_found_grace_seconds,
        )
        if not isinstance(decision, PollAgain):
            return _outcome(
                plan,
                task_id,
                decision.status,
                decision.answer,
                submitted=submitted,
                remote_id=remote_id,
                polls=due.polls + 1,
            )
        due = due._replace(polls=due.polls + 1, errors=decision.errors)
        wait = max(decision.due - now, 0.0)


def _first_check(plan: GenerationRequest, task_id: str, remote_id: str, submitted: float) -> Due:
    return Due(
        task_id=task_id,
        remote_id=remote_id,
        path=plan.path,
        profile=plan.profile.name,
        polls=0,
        errors=0,
        interval=plan.interval,
        submitted=submitted,
        started=submitted,
        deadline=submitted + plan.max_wait_seconds,
    )


def _end_of(answer: client.Submitted) -> tuple[str, dict[str, Any]]:
    if isinstance(answer, (client.Refused, client.RetryLater)):
        return "failed", {"error": answer.error}
    status = "submit_unknown" if isinstance(answer, client.Unknown) else "failed"
    kind = "SubmitUnknown" if status == "submit_unknown" else "ServerError"
    reason = getattr(answer, "reason", None)
    return status, {"error": ErrorInfo(type=kind, title="No usable response", detail=reason)}


def _outcome(
    plan: GenerationRequest,
    task_id: str,
    status: str,
    answer: dict[str, Any],
    *,
    submitted: float,
    remote_id: str | None = None,
    polls: int = 0,
) -> Outcome:
    error = answer.get("error")
    if error is None and status == "timed_out":
        error = ErrorInfo(type="GenerationTimedOut", title="Still active when max_wait had passed")
    return Outcome(
        task_id=task_id,
        status=status,  # type: ignore[arg-type]
        remote_id=remote_id,
        model=plan.model_name,
        profile=plan.profile.name,
        api_path=plan.model.api_path,
        base_url=plan.profile.base_url,
        kind=answer.get("kind") or plan.model.kind,
        assets=tuple(Asset(**item) for item in answer.get("assets", ())),
        error=ErrorInfo(**error) if isinstance(error, dict) else error,
        created_at=answer.get("created_at"),
        updated_at=answer.get("updated_at"),
        submitted_at=iso(submitted),
        finished_at=iso(datetime.now(UTC).timestamp()),
        polls=polls,
        extra=answer.get("extra", {}),
    )
