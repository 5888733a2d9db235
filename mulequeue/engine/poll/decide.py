"""Decide what a status check means for a record. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from mulequeue import catalog
from mulequeue.api.parsing import TaskReply
from mulequeue.api.results import Fetched, NotFound, Transient
from mulequeue.api.terminal_answer import answer_of, error_of
from mulequeue.catalog.poll_schedule import (
    MAX_WAIT_CEILING_SECONDS,
    PollSchedule,
    backoff_seconds,
)
from mulequeue.engine.poll.poll_plan import PollPlan
from mulequeue.ledger import Due

ERROR_FIRST_SECONDS, ERROR_CEILING_SECONDS = 2.0, 60.0
BACKSTOP_FACTOR, BACKSTOP_CEILING_SECONDS = 6, 60.0
"""Factor by which intervals are longer while webhooks arrive, and the longest such interval."""


class PollAgain(NamedTuple):
    """Check it again later."""

    due: float
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Terminal:
    """It has ended."""

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
) -> PollAgain | Terminal:
    """Return what a status check means for a record.

    :param now: unix seconds. :param chance: a random number in [0, 1).
    :param grace_seconds: how long after submission a 404 means "not visible yet".
    :param has_webhooks: webhooks arrive for its profile, so checks are only the fallback.
    :param poll_plan: fitted to earlier generations of its model, if enough of them are known.
    """
    if isinstance(found, TaskReply):
        return _decide_on_reply(due, found, now, chance, has_webhooks, poll_plan)
    if isinstance(found, NotFound) and found.is_gone and now - due.submitted > grace_seconds:
        return Terminal("failed", {"error": error_of(found.error)})
    if now - due.started > MAX_WAIT_CEILING_SECONDS:
        return Terminal("timed_out", {})
    wait = backoff_seconds(
        due.errors, first=ERROR_FIRST_SECONDS, ceiling=ERROR_CEILING_SECONDS, chance=chance
    )
    asked = found.retry_after_seconds if isinstance(found, Transient) else None
    return PollAgain(now + max(wait, asked or 0.0), due.errors + 1)


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
        answer = answer_of(
            found, kind=model.kind, retention_seconds=model.retention_seconds, now=now
        )
        return Terminal(found.state, answer)
    if now >= due.deadline:
        return Terminal("timed_out", {})
    wait = None
    if poll_plan is not None and due.interval is None and not has_webhooks and not _is_adopted(due):
        wait = poll_plan.seconds(now - due.started, chance)
    if wait is None:
        schedule = model.schedule if due.interval is None else PollSchedule.fixed(due.interval)
        wait = schedule.seconds(due.polls + 1, chance)
    if has_webhooks:
        wait = max(wait, min(wait * BACKSTOP_FACTOR, BACKSTOP_CEILING_SECONDS))
    return PollAgain(now + wait)


def _is_adopted(due: Due) -> bool:
    """Return whether its age is unknown, because another program created it."""
    return due.submitted == due.started
