"""Format data of the ledger as text: state names, progress, durations, errors."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from mulequeue.cli.output import one_line
from mulequeue.ledger import Batch, Record, outcome_of
from mulequeue.outcome import OUTCOME_STATUSES, ErrorInfo

STATES: dict[str, tuple[str, str, str | None]] = {
    "unsent": ("not sent yet", "·", None),
    "queued": ("queued", "○", None),
    "waiting": ("waiting", "◔", "yellow"),
    "submitting": ("submitting", "↑", "cyan"),
    "generating": ("generating", "◑", "cyan"),
    "succeeded": ("succeeded", "●", "green"),
    "failed": ("failed", "✗", "red"),
    "timed_out": ("timed out", "✗", "red"),
    "submit_unknown": ("unknown", "?", "magenta"),
    "cancelled": ("cancelled", "–", None),
    "tombstone": ("cancelled before it started", "–", None),
    "files": ("files", "↓", "blue"),
}
"""Name, sign and colour of each state on a terminal; with None as colour the text is dim."""
_COUNTED = ("waiting", "submitting", "generating", *OUTCOME_STATUSES)


def state_of(record: Record) -> str:
    """Return the status of a generation that is over, else its state."""
    return record.status or record.state


def word_of(record: Record) -> str:
    """Return the name of a record's state."""
    return STATES.get(state_of(record), (state_of(record),))[0]


def coloured(state: str, text: str) -> str:
    """Return the text in the colour of a state."""
    colour = STATES[state][2] if state in STATES else None
    return click.style(text, fg=colour, dim=None if colour else True)


def plural(count: int, noun: str) -> str:
    """Return ``1 file`` or ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# Batches


def counts_of(batch: Batch) -> list[tuple[str, str]]:
    """Return state and text of each count above 0: ``("queued", "3 queued"), ("files", "7 files")``.

    ``unsent`` are members that the task of the batch has not published yet. ``queued`` are members that
    were published and that no worker has received.
    """
    counts = {name: batch.counts.get(name, 0) for name in _COUNTED}
    begun = sum(counts.values())
    sent = max(begun, batch.size if batch.sent is None else batch.sent)
    counts = {"unsent": max(0, batch.size - sent), "queued": max(0, sent - begun), **counts}
    found = [(name, f"{count} {STATES[name][0]}") for name, count in counts.items() if count]
    if batch.files:
        found.append(("files", plural(batch.files, "file")))
    if batch.downloads and batch.succeeded > batch.downloaded:
        found.append(("files", f"{batch.succeeded - batch.downloaded} being stored"))
    return found


def progress_line(batch: Batch) -> str:
    """Return ``7 of 12 done: 2 generating, 3 queued, 7 succeeded; 7 files``."""
    counts = counts_of(batch)
    states = ", ".join(text for name, text in counts if name != "files") or "nothing yet"
    files = ", ".join(text for name, text in counts if name == "files")
    return f"{batch.done} of {batch.size} done: {states}" + (f"; {files}" if files else "")


def coloured_counts(batch: Batch) -> str:
    """Return ``◑ 2 generating   ● 7 succeeded   ↓ 7 files`` in colours."""
    return "   ".join(
        coloured(name, f"{STATES[name][1]} {text}") for name, text in counts_of(batch)
    )


def name_of(record: Record) -> str:
    """Return the number of a generation in its batch, or its task id."""
    return record.task_id.rpartition("-")[2] if record.batch else record.task_id


def ending_line(record: Record) -> str:
    """Return ``000017 failed: the prompt was rejected (code 3001) "a …"``."""
    label = f' "{record.label}"' if record.label else ""
    return one_line(f"{name_of(record)} {word_of(record)}: {reason_of(record)}{label}")


# Errors


def reason_of(record: Record) -> str:
    """Return the error of a generation; for a success why its files are missing, or its duration."""
    if record.status != "succeeded":
        return describe_error(outcome_of(record).error)
    if record.file_error:
        return f"not stored: {record.file_error}"
    begun = record.began or record.created
    return f"in {clock((record.finished or begun) - begun)}"


def failure_of(record: Record) -> str:
    """Return the error of a generation that is over and did not succeed, else an empty text."""
    return reason_of(record) if record.is_over and record.status != "succeeded" else ""


def describe_error(error: ErrorInfo | None) -> str:
    """Return the detail of an error, else its title, else its type, with the error code, in one line."""
    if error is None:
        return "no reason given"
    code = f" (code {error.code})" if error.code is not None else ""
    return one_line(error.detail or error.title or error.type) + code


# Times


def clock(seconds: float) -> str:
    """Return ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short_time(seconds: float) -> str:
    """Return ``4.20 s`` or ``1.5 min``."""
    return f"{seconds:.2f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def age(seconds: float) -> str:
    """Return ``12 s``, ``5 min``, ``3 h`` or ``2 d``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def moment(at: float) -> str:
    """Return unix seconds as ``2026-05-01 12:00:00 UTC``."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
