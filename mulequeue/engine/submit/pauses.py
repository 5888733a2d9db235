"""The pauses of submissions after a create request that was not made."""

from __future__ import annotations

from mulequeue.api import client
from mulequeue.ledger import Pause, Scope
from mulequeue.settings import Profile

RETRY_LATER_FIRST_SECONDS, RETRY_LATER_CEILING_SECONDS = 5.0, 300.0
FIX_CEILING_SECONDS = 60.0
"""Longest pause after 401 and 402: a probe is free, and a fixed key or balance should be noticed soon."""
NOT_SENT_FIRST_SECONDS, NOT_SENT_CEILING_SECONDS = 2.0, 30.0
_WHERE = {
    Scope.WORKER: " (on this worker; other workers continue)",
    Scope.GENERATION: " (for one generation; others continue)",
}


def pause_text(pause: Pause) -> str:
    """Return the reason of a pause, and which submissions continue."""
    return pause.reason + _WHERE.get(pause.scope, "")


def pause_of_generation(reason: str) -> Pause:
    """Return the pause of a generation whose input cannot be prepared now."""
    return Pause(
        scope=Scope.GENERATION,
        reason=reason,
        first=NOT_SENT_FIRST_SECONDS,
        ceiling=NOT_SENT_CEILING_SECONDS,
    )


def pause_after(profile: Profile, answer: client.NotSent | client.RetryLater) -> Pause:
    """Return the pause that follows a create request that was not made."""
    if isinstance(answer, client.NotSent):
        return Pause(
            scope=Scope.WORKER,
            reason=f"{profile.base_url} cannot be reached: {answer.reason}",
            first=NOT_SENT_FIRST_SECONDS,
            ceiling=NOT_SENT_CEILING_SECONDS,
        )
    is_key = answer.error.status_code == 401
    return Pause(
        scope=Scope.KEY if is_key else Scope.MODEL,
        reason=_reason(answer),
        seconds=answer.retry_after_seconds,
        first=RETRY_LATER_FIRST_SECONDS,
        ceiling=FIX_CEILING_SECONDS if answer.needs_fix else RETRY_LATER_CEILING_SECONDS,
    )


_FIXES = {
    401: "the API rejects the API key: {}. Give the workers a valid key and restart them",
    402: "the balance of the account is too low: {}. Top it up",
}


def _reason(answer: client.RetryLater) -> str:
    """Return why a create request was not made, and what to fix."""
    detail = answer.error.detail or answer.error.title or ""
    text = _FIXES.get(answer.error.status_code or 0, "the API rejects more create requests: {}")
    return text.format(detail.rstrip("."))
