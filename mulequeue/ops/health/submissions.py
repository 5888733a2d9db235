"""Report the pauses that delay new generations, and the exhausted budgets that reject them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from mulequeue.catalog.usd import format_usd
from mulequeue.ledger import Ledger, SubmissionStatus
from mulequeue.ops.health.check_result import Finding, passed, setting_name, warning
from mulequeue.settings import Settings


def examine_submissions(
    app: Any, settings: Settings, ledger: Ledger, command: str
) -> list[Finding]:
    """Check whether each profile can submit generations.

    :param command: the command that starts the CLI: ``mulequeue`` or ``celery -A proj mulequeue``.
    """
    per_day = setting_name(app, "mulequeue_max_per_day")
    usd_per_day = setting_name(app, "mulequeue_max_usd_per_day")
    found: list[Finding | None] = []
    names = list(dict.fromkeys(["default", *settings.profiles]))
    for status in ledger.limits.submission_statuses(names):
        limits = settings.profile(status.profile, needs_key=False)
        found += [paused(status, command), *refused(status, command)]
        found.append(budget(status, limits.max_per_day, per_day))
        found.append(usd_budget(status, limits.max_usd_per_day, usd_per_day))
    reported = [finding for finding in found if finding is not None]
    return reported or [passed("submissions", "No profile is paused and no budget is exhausted.")]


def paused(status: SubmissionStatus, command: str) -> Finding | None:
    """Return a finding if an operator paused the profile, because that may have been forgotten."""
    if status.paused_since is None:
        return None
    waiting = " Generations are waiting for it to end." if status.has_waiting else ""
    return warning(
        "paused",
        f"Submissions of profile {status.profile} have been paused by an operator since "
        f"{_moment(status.paused_since)}.{waiting}",
        f"To end the pause:\n  {command} unpause --profile {status.profile}",
    )


def refused(status: SubmissionStatus, command: str) -> list[Finding]:
    """Return a finding for each pause after responses of the API, and for each worker that cannot submit."""
    pauses = [(pause.scope, pause.until, pause.reason) for pause in status.scopes]
    if status.paused_until is not None:
        pauses.insert(0, ("all", status.paused_until, status.reason or ""))
    return [
        warning(
            "refused",
            f"Submissions of profile {status.profile} ({scope}) are paused: {reason.rstrip('.')}. The "
            f"next attempt is at {_moment(until)}.",
            "They continue after the cause is fixed; until then nothing fails. To try at once:\n"
            f"  {command} unpause --profile {status.profile}\n"
            "If the API often rejects more (429), set max_in_flight or submissions_per_minute a little "
            "below the account's limit.",
        )
        for scope, until, reason in pauses
    ]


def budget(status: SubmissionStatus, most: int | None, setting: str) -> Finding | None:
    """Return a finding if today's budget in generations is exhausted."""
    if most is None or status.today < most:
        return None
    return warning(
        "budget",
        f"Today's budget of profile {status.profile} is exhausted: {status.today} of {most}. New "
        "generations are rejected until 00:00 UTC.",
        f"To allow more, raise {setting} (for another profile: its max_per_day) and restart the workers.",
    )


def usd_budget(status: SubmissionStatus, most: float | None, setting: str) -> Finding | None:
    """Return a finding if at most a twentieth of today's budget in US dollars is left."""
    limit = Decimal(str(most or 0))
    if most is None or status.today_usd < limit * 19 / 20:
        return None
    return warning(
        "budget",
        f"Today's budget of profile {status.profile} is nearly spent: {format_usd(status.today_usd)} of "
        f"{format_usd(limit)} (estimate). A generation that costs more than the rest is rejected until "
        "00:00 UTC.",
        f"To allow more, raise {setting} (for another profile: its max_usd_per_day) and restart the workers.",
    )


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
