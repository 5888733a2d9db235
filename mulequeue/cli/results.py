"""Print results on standard output, as text or JSON, and the commands that a user can run next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import click

from mulequeue.catalog.usd import json_usd
from mulequeue.cli.costs import COST_KEYS, cost_data, cost_line, cost_of_batch
from mulequeue.cli.exits import FAILED, SUCCEEDED
from mulequeue.cli.output import json_keys, print_json, print_message, print_rows
from mulequeue.cli.render import STATES, describe_error, failure_of, plural, state_of
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.ledger.records import iso
from mulequeue.ops.spend import Sum
from mulequeue.outcome import OUTCOME_STATUSES, Outcome
from mulequeue.tasks.batch_ids import member_ids
from mulequeue.tasks.retry import Standing, standing_of

_COUNT_KEYS = ("submitted", *OUTCOME_STATUSES, "files", "seconds", "batch_id")
SUMMARY_KEYS = (*_COUNT_KEYS, *COST_KEYS)
SUMMARY_JSON = json_keys(SUMMARY_KEYS)
SUMMARY_HELP = f"With --json: {SUMMARY_JSON}; all are counts, except seconds, batch_id, and US dollars as in `spend`."
OUTCOME_JSON = json_keys(item.name for item in fields(Outcome))
SUBMITTED_JSON = json_keys(("task_id", "api_path", "remote_id"))


def summary_of(batch: Batch, seconds: float, cost: Sum) -> dict[str, Any]:
    """Return the counts and the estimated cost of a batch: the object of ``--json``."""
    counts = (batch.counts.get(name, 0) for name in OUTCOME_STATUSES)
    values = (batch.size, *counts, batch.files, round(seconds, 3), batch.batch_id or None)
    return {**dict(zip(_COUNT_KEYS, values, strict=True)), **cost_data(cost)}


def print_summary(
    batch: Batch, seconds: float, storage: str | None, cost: Sum, *, as_json: bool, missing: int = 0
) -> int:
    """Print the counts, the estimated cost and the number of missing files; return the exit code."""
    if missing:
        print_message(f"{plural(missing, 'file')} could not be stored; see the worker's log.")
    if as_json:
        print_json(summary_of(batch, seconds, cost))
    else:
        counts = [f"{batch.succeeded} of {batch.size} succeeded"]
        counts += [
            f"{batch.counts[name]} {STATES[name][0]}"
            for name in OUTCOME_STATUSES[1:]
            if batch.counts.get(name)
        ]
        name = f" (batch {batch.batch_id})" if batch.batch_id else ""
        click.echo(f"{', '.join(counts)} in {seconds:.1f} s{name}")
        if batch.files:
            click.echo(f"{plural(batch.files, 'file')} {f'in {storage}' if storage else 'stored'}")
        if cost_line(cost):
            click.echo(cost_line(cost))
    return SUCCEEDED if batch.succeeded == batch.size and not missing else FAILED


def report_batch(
    ledger: Ledger,
    batch: Batch,
    seconds: float,
    storage: str | None = None,
    *,
    as_json: bool,
    is_over: bool,
) -> int:
    """Print the summary of a batch, and once it is over the commands for failures; return the exit code.

    :param storage: where the files are stored; None: missing files are not counted.
    """
    is_read = is_over and (storage or not as_json)
    records = read_records(ledger, member_ids(batch)) if is_read else []
    missing = missing_files(records) if storage else 0
    cost = cost_of_batch(ledger, batch)
    code = print_summary(batch, seconds, storage, cost, as_json=as_json, missing=missing)
    if not as_json:
        print_next_commands(records, batch.batch_id)
    return code


def print_outcome(outcome: Outcome, *, as_json: bool) -> int:
    """Print the error of an outcome and its files (else its asset URLs), one per line; return the exit code."""
    if as_json:
        print_json(outcome.to_dict())
    else:
        if not outcome.succeeded:
            click.echo(f"{STATES[outcome.status][0]}: {describe_error(outcome.error)}")
            if outcome.remote_id and outcome.api_path:
                click.echo(f"  {outcome.api_path} {outcome.remote_id}")
        for item in outcome.files or outcome.assets:
            click.echo(item.url)
    return SUCCEEDED if outcome.succeeded else FAILED


def print_submitted(
    api_path: str, *, task_id: str | None = None, remote_id: str | None = None, as_json: bool
) -> int:
    """Print the ids of a generation that runs, and the command that waits for it; return exit code 0."""
    ids = {"task_id": task_id, "api_path": api_path, "remote_id": remote_id}
    if as_json:
        print_json(ids)
        return SUCCEEDED
    print_rows(ids.items(), 11)
    click.echo(status_command_for(task_id or f"{api_path} {remote_id}"))
    return SUCCEEDED


def status_command_for(name: str) -> str:
    """Return the command that waits for a task, a batch or a generation."""
    return f"mulequeue status {name} --wait"


def watch_hint(name: str) -> str:
    """Return the sentence with the command that waits for a task, a batch or a generation."""
    return f"Watch it:\n  {status_command_for(name)}"


def continue_hint(name: str) -> str:
    """Return the two commands for a task or batch that still runs: wait for it, or cancel it."""
    return f"Watch it, or cancel it:\n  {status_command_for(name)}\n  mulequeue cancel {name}"


def stopped_hint(name: str) -> str:
    """Return the message after Ctrl-C for a task or batch."""
    return f"Stopped watching; the workers continue. {continue_hint(name)}"


# What is next


_NEXT = {
    Standing.UNPAID: ("refused, and not billed. To run again", "retry {name}"),
    Standing.FAILED: (
        "failed at the API. To run again, and be billed again",
        "retry {name} --failed",
    ),
    Standing.UNKNOWN: (
        "may exist. To run again, and perhaps be billed twice",
        "retry {name} --unknown",
    ),
    Standing.RESUMABLE: ("may still succeed. To wait again, not billed again", "resume {first}"),
}


def next_commands(records: Sequence[Record], name: str) -> list[str]:
    """Return one message for each kind of failure in a task or batch: their number, and a command."""
    failed = [record for record in records if record.is_over and record.status != "succeeded"]
    standings = [standing_of(record) for record in failed]
    counts = Counter(standings)
    found = []
    for standing, (text, command) in _NEXT.items():
        if counts[standing]:
            first = failed[standings.index(standing)].task_id
            line = command.format(name=name, first=first)
            found.append(f"{plural(counts[standing], 'generation')} {text}:\n  mulequeue {line}")
    if given_up := sum(bool(record.each_error) for record in records):
        found.append(
            f"The task of each was given up for {plural(given_up, 'member')}. Call it again:\n"
            f"  mulequeue retry {name}"
        )
    return found


def print_next_commands(records: Sequence[Record], name: str) -> None:
    """Print what :func:`next_commands` returns."""
    for text in next_commands(records, name):
        print_message(text)


# Records


def read_records(ledger: Ledger, task_ids: Sequence[str]) -> list[Record]:
    """Return the records that exist."""
    return [record for record in ledger.queries.records(task_ids) if record is not None]


def record_data(record: Record, keys: Iterable[str]) -> dict[str, Any]:
    """Return the values of a record under these keys, JSON-ready."""
    values = {
        "task_id": record.task_id,
        "status": state_of(record),
        "batch_id": record.batch,
        "fair_key": record.fair_key or None,
        "model": record.model,
        "api_path": record.api_path or None,
        "remote_id": record.remote_id,
        "prompt": record.label,
        "metadata": dict(record.metadata),
        "estimated_usd": json_usd(record.estimated_usd),
        "files": [item.url for item in record.files],
        "polls": record.polls,
        "errors": record.errors,
        "problem": record.problem and record.problem.sentence,
        "problem_since": record.problem and iso(record.problem.since),
        "reason": failure_of(record) or None,
    }
    return {key: values[key] for key in keys}


def missing_files(records: Iterable[Record]) -> int:
    """Count the assets of succeeded generations that are not stored."""
    return sum(
        max(0, len(record.answer.get("assets", ())) - len(record.files))
        for record in records
        if record.status == "succeeded"
    )
