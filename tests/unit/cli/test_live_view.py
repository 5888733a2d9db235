"""The live display of a batch."""

from __future__ import annotations

import dataclasses
import io
import time

import pytest
from rich.cells import cell_len
from rich.console import Console

from mulequeue.cli.view import LiveView, batch_progress, ending_row
from mulequeue.ledger import Batch, Record

BATCH = Batch(
    batch_id="b",
    size=1632,
    counts={
        "waiting": 111,
        "submitting": 222,
        "generating": 333,
        "succeeded": 444,
        "failed": 55,
        "timed_out": 6,
        "submit_unknown": 7,
        "cancelled": 8,
    },
    files=1776,
    downloaded=444,
    is_cancelled=False,
    created=0.0,
)
FAILURE = Record(task_id="b-000001", batch="b", state="delivered", status="failed", label="é" * 60)


def display(width: int) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, height=24, force_terminal=False)
    with LiveView("a model with a long name · batch b", time.monotonic() - 60, console) as view:
        view.show(batch_progress(BATCH, 75.0))
        view.end(FAILURE)
        view.note("No worker answers. " * 8)
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Bar, states, failures and notes fold; nothing is cut off or runs over."""
    lines = display(width).splitlines()

    assert max(cell_len(line) for line in lines) <= width
    assert "520/1632 done 31 %" in "\n".join(lines)


def test_every_state_is_counted_in_words() -> None:
    """All states that have members, those still queued, and the files."""
    text = " ".join(display(200).split())

    for words in ("446 queued", "55 failed", "6 timed out", "7 unknown", "↓ 1776 files"):
        assert words in text


def test_a_failure_stands_above_its_prompt() -> None:
    """The reason in a column of its own, the prompt under it."""
    reason = {"error": {"type": "GenerationFailed", "code": 3001, "detail": "Refused. " * 9}}
    record = dataclasses.replace(FAILURE, label="a mule", answer=reason)
    console = Console(file=io.StringIO(), width=60, force_terminal=False)

    console.print(ending_row(record))

    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines[0].startswith("✗ 000001 failed: Refused. Refused.")
    assert all(line.startswith(" " * 9) for line in lines[1:])
    assert "         a mule" == lines[-1]
