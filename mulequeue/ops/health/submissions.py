"""Does anything keep generations from being submitted?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mulequeue.ledger import Gate, Ledger
from mulequeue.ops.health.check_result import Finding, fine, spelled, warning
from mulequeue.settings import Settings


def examine_gates(app: Any, settings: Settings, ledger: Ledger, command: str) -> list[Finding]:
    """:param command: how the program is started: ``mulequeue``, ``celery -A proj mulequeue``."""
    found = []
    for gate in ledger.gates(list(dict.fromkeys(["default", *settings.profiles]))):
        limits = settings.profile(gate.profile, needs_key=False)
        setting = spelled(app, "mulequeue_max_per_day")
        found += [
            finding
            for finding in (
                paused(gate, command),
                refused(gate),
                budget(gate, limits.max_per_day, setting),
            )
            if finding is not None
        ]
    return found or [fine("submissions", "No profile is paused, and no budget is spent.")]


def paused(gate: Gate, command: str) -> Finding | None:
    """By hand, maybe by somebody who has forgotten it."""
    if gate.held_since is None:
        return None
    waits = " Some generations wait for it." if gate.is_waited_at else ""
    return warning(
        "paused",
        f"Submissions of profile {gate.profile} are paused by hand since "
        f"{_moment(gate.held_since)}.{waits}",
        f"When they shall go on:\n  {command} unpause --profile {gate.profile}",
    )


def refused(gate: Gate) -> Finding | None:
    """The API answered 429: mulequeue waits by itself."""
    if gate.paused_until is None:
        return None
    return warning(
        "refused",
        f"The API refuses more creates of profile {gate.profile} just now; the next attempt is at "
        f"{_moment(gate.paused_until)}.",
        "Nothing to do. If it comes often, set max_in_flight or submissions_per_minute a little "
        "below what the account is allowed.",
    )


def budget(gate: Gate, most: int | None, setting: str) -> Finding | None:
    """:param setting: how this project spells ``mulequeue_max_per_day``."""
    if most is None or gate.today < most:
        return None
    return warning(
        "budget",
        f"Today's budget of profile {gate.profile} is spent: {gate.today} of {most}. What is new "
        "is refused until 00:00 UTC.",
        f"If that is not meant, raise {setting} (of another profile: its max_per_day) and restart "
        "the workers.",
    )


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
