"""Pauses, rate limits and budgets that delay or reject new generations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mulequeue.ledger import Ledger, SubmissionStatus
from mulequeue.ops.health.check_result import Finding, passed, setting_name, warning
from mulequeue.settings import Settings


def examine_submissions(
    app: Any, settings: Settings, ledger: Ledger, command: str
) -> list[Finding]:
    """Check whether each profile can submit generations.

    :param command: the CLI's command: ``mulequeue`` or ``celery -A proj mulequeue``.
    """
    found = []
    for status in ledger.limits.submission_statuses(
        list(dict.fromkeys(["default", *settings.profiles]))
    ):
        limits = settings.profile(status.profile, needs_key=False)
        setting = setting_name(app, "mulequeue_max_per_day")
        found += [
            finding
            for finding in (
                paused(status, command),
                refused(status),
                budget(status, limits.max_per_day, setting),
            )
            if finding is not None
        ]
    return found or [passed("submissions", "No profile is paused and no budget is exhausted.")]


def paused(status: SubmissionStatus, command: str) -> Finding | None:
    """Report a pause that an operator set and may have forgotten."""
    if status.paused_since is None:
        return None
    waiting = " Generations are waiting for it to end." if status.has_waiting else ""
    return warning(
        "paused",
        f"Submissions of profile {status.profile} have been paused by an operator since "
        f"{_moment(status.paused_since)}.{waiting}",
        f"To end the pause:\n  {command} unpause --profile {status.profile}",
    )


def refused(status: SubmissionStatus) -> Finding | None:
    """Report a pause that follows from the API's response 429."""
    if status.paused_until is None:
        return None
    return warning(
        "refused",
        f"The API rejects further create requests of profile {status.profile} (429). The next attempt "
        f"is at {_moment(status.paused_until)}.",
        "No action is needed. If this happens often, set max_in_flight or submissions_per_minute a "
        "little below the account's limit.",
    )


def budget(status: SubmissionStatus, most: int | None, setting: str) -> Finding | None:
    """Report an exhausted daily budget.

    :param setting: this project's spelling of ``mulequeue_max_per_day``.
    """
    if most is None or status.today < most:
        return None
    return warning(
        "budget",
        f"Today's budget of profile {status.profile} is exhausted: {status.today} of {most}. New "
        "generations are rejected until 00:00 UTC.",
        f"To allow more, raise {setting} (for another profile: its max_per_day) and restart the "
        "workers.",
    )


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
