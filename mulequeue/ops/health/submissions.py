"""Does anything keep generations from being submitted?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mulequeue.ledger import Ledger, SubmissionStatus
from mulequeue.ops.health.check_result import Finding, passed, setting_name, warning
from mulequeue.settings import Settings


def examine_submissions(
    app: Any, settings: Settings, ledger: Ledger, command: str
) -> list[Finding]:
    """:param command: how the program is started: ``mulequeue``, ``celery -A proj mulequeue``."""
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
    return found or [passed("submissions", "No profile is paused, and no budget is spent.")]


def paused(status: SubmissionStatus, command: str) -> Finding | None:
    """By hand, maybe by somebody who has forgotten it."""
    if status.paused_since is None:
        return None
    waits = " Some generations wait for it." if status.has_waiting else ""
    return warning(
        "paused",
        f"Submissions of profile {status.profile} are paused by hand since "
        f"{_moment(status.paused_since)}.{waits}",
        f"When they shall go on:\n  {command} unpause --profile {status.profile}",
    )


def refused(status: SubmissionStatus) -> Finding | None:
    """The API answered 429: mulequeue waits by itself."""
    if status.paused_until is None:
        return None
    return warning(
        "refused",
        f"The API refuses more creates of profile {status.profile} just now; the next attempt is at "
        f"{_moment(status.paused_until)}.",
        "Nothing to do. If it comes often, set max_in_flight or submissions_per_minute a little "
        "below what the account is allowed.",
    )


def budget(status: SubmissionStatus, most: int | None, setting: str) -> Finding | None:
    """:param setting: how this project spells ``mulequeue_max_per_day``."""
    if most is None or status.today < most:
        return None
    return warning(
        "budget",
        f"Today's budget of profile {status.profile} is spent: {status.today} of {most}. What is new "
        "is refused until 00:00 UTC.",
        f"If that is not meant, raise {setting} (of another profile: its max_per_day) and restart "
        "the workers.",
    )


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
