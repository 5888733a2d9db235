"""A batch's progress in words."""

from __future__ import annotations

from mulequeue.cli.error_line import one_line
from mulequeue.ledger import Batch, Record, outcome_of


def done(batch: Batch) -> int:
    """Members that nothing more is expected of: over, and their files stored."""
    succeeded = batch.counts.get("succeeded", 0)
    return batch.over - succeeded + min(batch.downloaded, succeeded)


def progress_line(batch: Batch) -> str:
    """``7 of 12 done: 2 generating, 3 queued, 7 succeeded; 7 files``."""
    states = ", ".join(f"{count} {WORDS[name]}" for name, count in states_of(batch) if count)
    files = f"; {batch.files} file{'' if batch.files == 1 else 's'}" if batch.files else ""
    return f"{done(batch)} of {batch.size} done: {states or 'nothing yet'}{files}"


WORDS = {
    "queued": "queued",
    "waiting": "waiting",
    "submitting": "submitting",
    "generating": "generating",
    "succeeded": "succeeded",
    "failed": "failed",
    "timed_out": "timed out",
    "submit_unknown": "unknown",
    "cancelled": "cancelled",
    "tombstone": "cancelled before it was known",
}
"""States as people read them."""
SIGNS: dict[str, tuple[str, str | None]] = {
    "queued": ("○", None),
    "waiting": ("◔", "yellow"),
    "submitting": ("↑", "cyan"),
    "generating": ("◑", "cyan"),
    "succeeded": ("●", "green"),
    "failed": ("✗", "red"),
    "timed_out": ("✗", "red"),
    "submit_unknown": ("?", "magenta"),
    "cancelled": ("–", None),
    "files": ("↓", "blue"),
}
"""The sign and the colour of each on a terminal; None: dim."""
_OTHERS = ("queued", "tombstone")


def states_of(batch: Batch) -> list[tuple[str, int]]:
    """Every state and how many members are in it; ``queued`` are those no worker has taken yet."""
    counts = {name: batch.counts.get(name, 0) for name in WORDS if name not in _OTHERS}
    return [("queued", max(0, batch.size - sum(counts.values()))), *counts.items()]


def end_line(record: Record) -> str:
    """``000017 failed: the prompt was refused (3001) "a …"``."""
    name = name_in_batch(record)
    label = f' "{record.label}"' if record.label else ""
    word = WORDS.get(record.status or record.state, record.state)
    return one_line(f"{name} {word}: {reason_of(record)}{label}")


def name_in_batch(record: Record) -> str:
    """A member's number; the whole task id of one that is in no batch."""
    return record.task_id.rpartition("-")[2] if record.batch else record.task_id


def reason_of(record: Record) -> str:
    """Why a generation did not succeed, in a few words; how long it took, if it did."""
    if record.status == "succeeded":
        begun = record.started or record.submitted or record.created
        return f"in {clock((record.finished or begun) - begun)}"
    error = outcome_of(record).error
    if error is None:
        return "no reason given"
    text = error.detail or error.title or error.type
    return f"{text} ({error.code})" if error.code is not None else text


def clock(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
