"""Run ``generate`` when it is called directly or eagerly: wait for the outcome, without Redis."""

from __future__ import annotations

import random
import time
from typing import Any

from mulequeue.api import client, status_checks
from mulequeue.api.results import Fetched
from mulequeue.api.status_checks import is_unknown_id, unused_id
from mulequeue.api.terminal_answer import answer_of, error_of
from mulequeue.catalog.poll_schedule import backoff_seconds
from mulequeue.engine.generation_request import GenerationRequest
from mulequeue.engine.poll.decide import PollAgain, decide, is_unanswered
from mulequeue.engine.poll.problem_log import ProblemLog
from mulequeue.ledger.polling import Due
from mulequeue.ledger.records import Record
from mulequeue.outcome import ErrorInfo
from mulequeue.settings import Settings


def generate_inline(
    plan: GenerationRequest, settings: Settings, *, task_id: str, remote_id: str | None = None
) -> Record:
    """Submit, wait, and return the record, which no ledger has.

    The create request is repeated only if the API did not create a generation.

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
        is_final = is_final or (isinstance(answer, client.RetryLater) and answer.needs_fix)
        if is_final or time.monotonic() + wait > gives_up:
            return _record(plan, task_id, *_end_of(answer), submitted=submitted)
        time.sleep(wait)
        attempt += 1


def _accepted(
    plan: GenerationRequest,
    settings: Settings,
    task_id: str,
    answer: client.Accepted,
    submitted: float,
) -> Record:
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
    return _record(plan, task_id, reply.state, end, submitted=submitted, remote_id=reply.remote_id)


def _poll(
    plan: GenerationRequest, settings: Settings, task_id: str, remote_id: str, submitted: float
) -> Record:
    due = _first_check(plan, task_id, remote_id, submitted)
    wait = plan.schedule.seconds(0, random.random())
    problems = ProblemLog()
    while True:
        time.sleep(wait)
        found = _fetch(plan, settings, remote_id)
        now = time.time()
        decision = decide(
            due,
            found,
            now=now,
            chance=random.random(),
            grace_seconds=settings.not_found_grace_seconds,
            answers_others=is_unanswered(due, found, now)
            and is_unknown_id(_fetch(plan, settings, unused_id())),
        )
        if not isinstance(decision, PollAgain):
            return _record(
                plan,
                task_id,
                decision.status,
                decision.answer,
                submitted=submitted,
                remote_id=remote_id,
                polls=due.polls + 1,
            )
        problems.again(due, decision)
        due = due._replace(polls=due.polls + 1, errors=decision.errors, problem=decision.problem)
        wait = max(decision.due - now, 0.0)


def _fetch(plan: GenerationRequest, settings: Settings, remote_id: str) -> Fetched:
    return status_checks.fetch_once(
        plan.profile, plan.model.api_path, remote_id, settings=settings, kind=plan.model.kind
    )


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
        return "failed", {"error": error_of(answer.error)}
    status = "submit_unknown" if isinstance(answer, client.Unknown) else "failed"
    kind = "SubmitUnknown" if status == "submit_unknown" else "ServerError"
    reason = getattr(answer, "reason", None)
    error = ErrorInfo(type=kind, title="No usable response", detail=reason)
    return status, {"error": error_of(error)}


def _record(
    plan: GenerationRequest,
    task_id: str,
    status: str,
    answer: dict[str, Any],
    *,
    submitted: float,
    remote_id: str | None = None,
    polls: int = 0,
) -> Record:
    if status == "timed_out":  # without a ledger there is no record to resume
        error = {"type": "GenerationTimedOut", "title": "Still active when max_wait had passed"}
        answer = {"error": error, **answer}
    return Record(
        task_id=task_id,
        state="delivered",
        status=status,
        remote_id=remote_id,
        model=plan.model_name,
        label=plan.label,
        profile=plan.profile.name,
        path=plan.path,
        base_url=plan.profile.base_url,
        kind=plan.model.kind,
        metadata=plan.metadata,
        usd=plan.usd_micros,
        day=int(submitted // 86400) if remote_id or status == "submit_unknown" else None,
        submitted=submitted,
        finished=time.time(),
        polls=polls,
        answer=answer,
    )
