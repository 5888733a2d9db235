"""Results on standard output, as text or JSON, and the exit codes that go with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields

import click

from mulequeue.cli.output import json_keys, print_json, print_message
from mulequeue.cli.render import WORDS, describe_error, plural
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.outcome import OUTCOME_STATUSES, Outcome
from mulequeue.tasks.batch_ids import member_ids

SUCCEEDED, FAILED, STILL_RUNNING = 0, 1, 2
"""The exit codes."""
_SLICE = 200


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The counts of a batch; the keys of ``--json``."""

    submitted: int
    succeeded: int = 0
    failed: int = 0
    timed_out: int = 0
    submit_unknown: int = 0
    cancelled: int = 0
    files: int = 0
    seconds: float = 0.0
    batch_id: str | None = None


OUTCOME_JSON = json_keys(item.name for item in fields(Outcome))
SUMMARY_JSON = json_keys(item.name for item in fields(Summary))
SUBMITTED_JSON = json_keys(("task_id", "api_path", "remote_id"))
SUMMARY_HELP = f"With --json: {SUMMARY_JSON}; all are counts, except seconds and batch_id."


def summary_of(batch: Batch, seconds: float) -> Summary:
    """Return the counts of a batch."""
    return Summary(
        submitted=batch.size,
        **{name: batch.counts.get(name, 0) for name in OUTCOME_STATUSES},
        files=batch.files,
        seconds=round(seconds, 3),
        batch_id=batch.batch_id or None,
    )


def print_summary(summary: Summary, storage: str | None, *, as_json: bool, missing: int = 0) -> int:
    """Print the counts of a batch that is over; the exit code.

    :param storage: the folder or URL of the files, if it is known.
    :param missing: files that could not be stored.
    """
    if missing:
        print_message(f"{plural(missing, 'file')} could not be stored; see the worker's log.")
    if as_json:
        print_json(asdict(summary))
    else:
        _print_counts(summary, storage)
    all_succeeded = summary.succeeded == summary.submitted and not missing
    return SUCCEEDED if all_succeeded else FAILED


def _print_counts(summary: Summary, storage: str | None) -> None:
    counts = {name: getattr(summary, name) for name in OUTCOME_STATUSES if name != "succeeded"}
    others = "".join(f", {count} {WORDS[name]}" for name, count in counts.items() if count)
    name = f" (batch {summary.batch_id})" if summary.batch_id else ""
    click.echo(
        f"{summary.succeeded} of {summary.submitted} succeeded{others} "
        f"in {summary.seconds:.1f} s{name}"
    )
    if summary.files:
        click.echo(f"{plural(summary.files, 'file')} {f'in {storage}' if storage else 'stored'}")


def print_outcome(outcome: Outcome, *, as_json: bool) -> int:
    """Print an outcome's files (else its URLs), one per line, or its error; return the exit code."""
    if as_json:
        print_json(outcome.to_dict())
    else:
        if not outcome.succeeded:
            click.echo(f"{WORDS[outcome.status]}: {describe_error(outcome.error)}")
            if outcome.remote_id and outcome.api_path:
                click.echo(f"  {outcome.api_path} {outcome.remote_id}")
        for item in outcome.files or outcome.assets:
            click.echo(item.url)
    return SUCCEEDED if outcome.succeeded else FAILED


def print_submitted(api_path: str, remote_id: str, task_id: str | None, *, as_json: bool) -> int:
    """Print the ids of a generation that runs, and the command that waits for it."""
    if as_json:
        print_json({"task_id": task_id, "api_path": api_path, "remote_id": remote_id})
    else:
        click.echo(f"api_path   {api_path}")
        click.echo(f"remote_id  {remote_id}")
        click.echo(status_command_for(f"{api_path} {remote_id}"))
    return SUCCEEDED


def status_command_for(name: str) -> str:
    """Return the command that waits for a task, a batch or a generation."""
    return f"mulequeue status {name} --wait"


def continue_hint(name: str) -> str:
    """Return the two commands for a task or batch that still runs: wait for it, or cancel it."""
    return f"Watch it, or cancel it:\n  {status_command_for(name)}\n  mulequeue cancel {name}"


def read_records(ledger: Ledger, task_ids: Sequence[str]) -> Iterator[Record]:
    """Read the records that exist, in slices."""
    return (record for record in read_all(ledger, task_ids) if record is not None)


def read_all(ledger: Ledger, task_ids: Sequence[str]) -> Iterator[Record | None]:
    """Read records in slices; None for an id without one."""
    for start in range(0, len(task_ids), _SLICE):
        yield from ledger.queries.records(task_ids[start : start + _SLICE])


def missing_files(ledger: Ledger, batch: Batch) -> int:
    """Count the assets of succeeded generations that are not stored."""
    return sum(
        max(0, len(record.answer.get("assets", ())) - len(record.files))
        for record in read_records(ledger, member_ids(batch))
        if record.status == "succeeded"
    )
