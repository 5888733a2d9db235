"""Decide from a status check whether to check a generation again or to settle it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from mulequeue import catalog
from mulequeue.api.parsing import TaskReply, is_known_status
from mulequeue.api.parsing.http_error import one_line
from mulequeue.api.results import Fetched, NotFound, Transient
from mulequeue.api.terminal_answer import answer_of, error_of
from mulequeue.catalog.poll_schedule import (
    MAX_WAIT_CEILING_SECONDS,
    PollSchedule,
    backoff_seconds,
)
from mulequeue.engine.poll.poll_plan import PollPlan
from mulequeue.ledger import Due, Problem
from mulequeue.outcome import ErrorInfo

ERROR_FIRST_SECONDS, ERROR_CEILING_SECONDS = 2.0, 60.0
BACKSTOP_FACTOR, BACKSTOP_CEILING_SECONDS = 6, 60.0
"""While webhooks arrive, intervals are longer by this factor, but not extended beyond this many seconds."""
EMPTY_SECONDS = 60.0
"""A generation that completed without files is checked again for this time, because the files may follow;
or for ``mulequeue_not_found_grace_seconds``, if that is shorter."""
ERRORS_TO_GIVE_UP = 5
"""After this many errors in a row a generation beyond ``max_wait`` is given up, if the API answers about others."""
TOO_LARGE_TO_GIVE_UP = 3
"""After this many errors in a row a generation is given up if the last response exceeds every size limit."""
_RESUME = "It may still finish: continue it with resume."


class PollAgain(NamedTuple):
    """The generation has not ended: check it again at ``due`` (unix seconds)."""

    due: float
    errors: int = 0
    problem: str = ""
    """The record's :class:`~mulequeue.ledger.records.Problem`; empty: none."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """The generation has ended: settle it."""

    status: str
    answer: dict[str, Any]


def decide(
    due: Due,
    found: Fetched,
    *,
    now: float,
    chance: float,
    grace_seconds: float,
    has_webhooks: bool = False,
    poll_plan: PollPlan | None = None,
    answers_others: bool = False,
) -> PollAgain | Terminal:
    """Return whether to check a generation again, and when, or how it ended.

    :param now: unix seconds. :param chance: a random number in [0, 1).
    :param grace_seconds: how long after submission a 404 means "not visible yet".
    :param has_webhooks: whether webhooks arrive for the profile, so that checks are only the fallback.
    :param poll_plan: fitted to earlier generations of the model; None: too few are known.
    :param answers_others: whether the API answers about other generations; see :func:`is_unanswered`.
    """
    if isinstance(found, TaskReply):
        if found.error is not None and found.error.type == "NoAssets":
            again = _again_if_empty(due, found.error, now, chance, grace_seconds)
            if again is not None:
                return again
        return _decide_on_reply(due, found, now, chance, has_webhooks, poll_plan)
    if isinstance(found, NotFound):
        if found.is_gone and now - due.submitted > grace_seconds:
            return Terminal("failed", {"error": error_of(found.error)})
        found = Transient(reason=f"HTTP 404: {found.error.detail or found.error.title}")
    if found.is_too_large and due.errors + 1 >= TOO_LARGE_TO_GIVE_UP:
        return Terminal("failed", {"error": error_of(_too_large(found.reason))})
    if now - due.started > MAX_WAIT_CEILING_SECONDS or (
        answers_others and is_unanswered(due, found, now)
    ):
        error = _timed_out("No usable answer about it until max_wait had passed", found.reason)
        return Terminal("timed_out", {"error": error})
    return again_after_error(due, found.reason, now, chance, found.retry_after_seconds)


def is_unanswered(due: Due, found: Fetched, now: float) -> bool:
    """Return whether ``max_wait`` has passed and ``ERRORS_TO_GIVE_UP`` checks in a row had no usable answer.

    The generation is given up only if the API answers about others at the same time, because an outage of
    the API is no reason to give it up.
    """
    has_answer = isinstance(found, TaskReply)
    return not has_answer and now >= due.deadline and due.errors + 1 >= ERRORS_TO_GIVE_UP


def again_after_error(
    due: Due, reason: str, now: float, chance: float, asked: float | None = None
) -> PollAgain:
    """Return the time of the next check, after a check without a usable answer.

    :param asked: the least seconds to wait, if the API sent ``Retry-After``.
    """
    problem = _problem(due, "error", reason, now)
    wait = max(_backoff(due, chance), asked or 0.0)
    return PollAgain(now + wait, due.errors + 1, problem.dump())


def _again_if_empty(
    due: Due, error: ErrorInfo, now: float, chance: float, grace_seconds: float
) -> PollAgain | None:
    """Return the next check of a generation that completed without files; None: settle it."""
    problem = _problem(due, "empty", f"{error.title}; its files may follow", now)
    if now - problem.since >= min(EMPTY_SECONDS, grace_seconds):
        return None
    return PollAgain(now + _backoff(due, chance), due.errors + 1, problem.dump())


def _backoff(due: Due, chance: float) -> float:
    return backoff_seconds(
        due.errors, first=ERROR_FIRST_SECONDS, ceiling=ERROR_CEILING_SECONDS, chance=chance
    )


def _problem(due: Due, kind: str, text: str, now: float) -> Problem:
    """Return the problem for the record; ``since`` is the time of the first problem in a row of this kind."""
    known = Problem.parse(due.problem)
    since = known.since if known is not None and known.kind == kind else now
    return Problem(since, kind, text)


def _decide_on_reply(
    due: Due,
    found: TaskReply,
    now: float,
    chance: float,
    has_webhooks: bool,
    poll_plan: PollPlan | None,
) -> PollAgain | Terminal:
    model = catalog.find(f"/vendors/{due.path}")
    if found.state != "active":
        return Terminal(found.state, answer_of(found, model, now=now))
    word = None if is_known_status(found.status) else one_line(found.status) or "none"
    if now >= due.deadline:
        if word is None:
            return Terminal("timed_out", {})
        reason = f"Its last status was {word!r}, which is unknown and counts as active"
        return Terminal("timed_out", {"error": _timed_out(_TOO_LONG, reason)})
    wait = None
    is_adopted = due.submitted == due.started  # another program created it: its age is unknown
    if poll_plan is not None and due.interval is None and not has_webhooks and not is_adopted:
        wait = poll_plan.seconds(now - due.started, chance)
    if wait is None:
        schedule = model.schedule if due.interval is None else PollSchedule.fixed(due.interval)
        wait = schedule.seconds(due.polls + 1, chance)
    if has_webhooks:
        wait = max(wait, min(wait * BACKSTOP_FACTOR, BACKSTOP_CEILING_SECONDS))
    problem = "" if word is None else _problem(due, "status", word, now).dump()
    return PollAgain(now + wait, 0, problem)


_TOO_LONG = "Still active when max_wait had passed"


def _timed_out(title: str, reason: str) -> dict[str, Any]:
    detail = f"{reason.rstrip('.')}. {_RESUME}"
    return error_of(ErrorInfo(type="GenerationTimedOut", title=title, detail=detail))


def _too_large(reason: str) -> ErrorInfo:
    return ErrorInfo(
        type="ResponseTooLarge",
        title=f"Its files cannot be read: {reason}",
        detail="The generation is probably complete and billed. Speech is part of the response unless the "
        'input asks for a URL: set "output_format": "url".',
    )
