"""What ``--json`` prints, as the help says it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from mulequeue.outcome import OUTCOME_STATUSES, Outcome

SUMMARY = ("submitted", *OUTCOME_STATUSES, "files", "seconds", "batch_id")
OUTCOME = tuple(item.name for item in fields(Outcome))
SUBMITTED = ("task_id", "api_path", "remote_id")
UNDER_WAY = ("task_id", "status", "remote_id", "model", "api_path", "polls")
LISTED = ("task_id", "status", "batch_id", "model", "api_path", "remote_id", "prompt", "files")
FLEET = ("fleet", "counts", "due", "overdue_seconds", "profiles", "learned")
PAUSED = ("profile", "paused", "changed")
COUNTED = ("waiting", "submitting", "generating", *OUTCOME_STATUSES)
BATCHES = ("batch_id", "size", *COUNTED, "files", "created_at")
STARTED = ("task_id",)


def keys(names: Iterable[str]) -> str:
    """``{"task_id", "status"}``."""
    return "{" + ", ".join(f'"{name}"' for name in names) + "}"


def of_list() -> str:
    """Of ``list``."""
    return f"With --json: an array of {keys(LISTED)}; with --batches of {keys(BATCHES)}."


def of_run() -> str:
    """Of ``run``."""
    return (
        f"With --json: the outcome, {keys(OUTCOME)}; with --no-wait {keys(SUBMITTED)}. What the keys "
        "mean: mulequeue.Outcome."
    )


def of_counts() -> str:
    """Of ``batch`` and ``demo``."""
    return f"With --json: {keys(SUMMARY)}, counts but for seconds and batch_id."


def of_pausing() -> str:
    """Of ``pause`` and ``unpause``."""
    return f"With --json: {keys(PAUSED)}; changed is false when it was so before."


def of_status() -> str:
    """Of ``status``."""
    return (
        f"With --json: of the fleet {keys(FLEET)}; of a batch {keys(SUMMARY)}; of a generation that "
        f"is over the outcome, as `run`, and of one that is not {keys(UNDER_WAY)}."
    )
