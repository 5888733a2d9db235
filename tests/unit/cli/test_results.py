"""The commands that follow generations which did not succeed."""

from __future__ import annotations

from typing import Any

from mulequeue.cli.results import next_commands
from mulequeue.ledger import Record


def record(task_id: str, status: str | None, **fields: Any) -> Record:
    state = "delivered" if status else "generating"
    return Record(task_id=task_id, state=state, status=status, epoch="e", **fields)


def test_each_kind_of_failure_has_its_command() -> None:
    """What is not billed comes first; nothing is said of what succeeded, runs, or was never sent."""
    records = [
        record("b-0", "succeeded", remote_id="r0"),
        record("b-1", None, remote_id="r1"),
        record("b-2", "failed"),
        record("b-3", "failed"),
        record("b-4", "failed", remote_id="r4"),
        record("b-5", "submit_unknown"),
        record("b-6", "timed_out", remote_id="r6"),
        record("b-7", "cancelled"),
    ]

    assert [
        "2 generations refused, and not billed. To run again:\n  mulequeue retry b",
        "1 generation failed at the API. To run again, and be billed again:\n"
        "  mulequeue retry b --failed",
        "1 generation may exist. To run again, and perhaps be billed twice:\n"
        "  mulequeue retry b --unknown",
        "1 generation may still succeed. To wait again, not billed again:\n  mulequeue resume b-6",
    ] == next_commands(records, "b")


def test_what_succeeded_needs_none() -> None:
    """A batch without failures ends without advice."""
    assert [] == next_commands([record("b-0", "succeeded", remote_id="r")], "b")
