"""``mulequeue list``."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click
from rich.cells import cell_len, set_cell_size

from mulequeue.cli import preflight, render, results
from mulequeue.cli.ids import known_id
from mulequeue.cli.output import (
    columns,
    cut,
    json_keys,
    one_line,
    print_json,
    print_message,
    wrap_at,
)
from mulequeue.errors import InputError
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.outcome import OUTCOME_STATUSES
from mulequeue.tasks.batch_ids import member_ids

_RECORD_KEYS = (
    *("task_id", "status", "batch_id", "fair_key", "model", "api_path"),
    *("remote_id", "prompt", "metadata", "estimated_usd", "files", "reason"),
)
_GAP, _INDENT = "  ", "    "
_LEAST_ROOM = 30
"""Minimum width in cells at which a prompt is shown beside the other columns."""
_COUNTED = ("waiting", "submitting", "generating", *OUTCOME_STATUSES)
_BATCH_KEYS = ("batch_id", "size", *_COUNTED, "files", "created_at")
_JSON_HELP = f"With --json: an array of {json_keys(_RECORD_KEYS)}; with --batches of {json_keys(_BATCH_KEYS)}."
_STATUS_HELP = f"Show only generations in this state: {', '.join(_COUNTED)}."


@click.command("list", epilog=_JSON_HELP)
@click.argument("names", nargs=-1, metavar="[TASK_ID|BATCH_ID]...")
@click.option("--status", type=click.Choice(_COUNTED), metavar="STATUS", help=_STATUS_HELP)
@click.option("--batch", metavar="BATCH_ID", help="Show only members of this batch.")
@click.option("--batches", is_flag=True, help="Show batches instead of generations.")
@click.option("--limit", default=50, show_default=True, metavar="N", help="Show the newest N.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array on stdout.")
@click.pass_context
def list_command(
    ctx: click.Context,
    names: tuple[str, ...],
    status: str | None,
    batch: str | None,
    batches: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List the generations or the batches in the ledger, the newest first.

    Without an id it reads every record that the ledger keeps (by default 7 days), which takes a while on a
    large ledger.
    """
    ledger = preflight.ledger_to_read(preflight.settings_of(preflight.app_of(ctx)))
    given = (*names, *([batch] if batch else ()))
    if batches and (status or given):
        raise InputError("--batches cannot be combined with --status, --batch or an id.")
    found: list[Any] = _batches(ledger) if batches else _records(ledger, given, status)
    newest = sorted(found, key=lambda item: item.created, reverse=True)[: max(0, limit)]
    if as_json:
        data = _batch_data if batches else partial(results.record_data, keys=_RECORD_KEYS)
        print_json(list(map(data, newest)))
        return
    now = ledger.queries.now()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in batch_lines(newest, now) if batches else record_lines(newest, now, width):
        click.echo(line)
    if len(found) > len(newest):
        print_message(f"… and {len(found) - len(newest):,} more (--limit)")
    elif not found:
        print_message(f"No {'batch' if batches else 'generation'} found in the ledger.")


# Batches


def _batches(ledger: Ledger) -> list[Batch]:
    known = (ledger.queries.batch(batch_id) for batch_id in set(ledger.queries.batch_ids()))
    return [batch for batch in known if batch is not None]


def batch_lines(batches: Sequence[Batch], now: float) -> list[str]:
    """Return one line per batch, in columns: id, age, progress."""
    return columns(
        [(b.batch_id, render.age(now - b.created), render.progress_line(b)) for b in batches]
    )


def _batch_data(batch: Batch) -> dict[str, object]:
    created = datetime.fromtimestamp(batch.created, UTC).isoformat(timespec="seconds")
    counts = [batch.counts.get(name, 0) for name in _COUNTED]
    values = (batch.batch_id, batch.size, *counts, batch.files, created)
    return dict(zip(_BATCH_KEYS, values, strict=True))


# Generations


def _records(ledger: Ledger, names: Sequence[str], status: str | None) -> list[Record]:
    """Return the records of the tasks and batch members in ``names``, or all records if ``names`` is empty.

    :param status: the state of the records to return; None: any state.
    :raises InputError: an id is unknown, or is the start of several ids.
    """
    task_ids = [] if names else sorted(set(ledger.queries.task_ids()))
    for name in (known_id(ledger, name) for name in names):
        batch = ledger.queries.batch(name)
        task_ids += member_ids(batch) if batch is not None else [name]
    return [
        record
        for record in results.read_records(ledger, task_ids)
        if record.state != "tombstone" and status in (None, render.state_of(record))
    ]


def record_lines(records: Sequence[Record], now: float, width: int | None) -> list[str]:
    """Return the generations in columns: id, status, age, model, prompt, reason of a failure.

    :param now: unix seconds of Redis' clock.
    :param width: of the terminal. There a reason has a separate line, and so has a prompt with less than 30
        cells left. None: a pipe, with one line per generation.
    """
    labels = [_label(record) for record in records]
    reasons = [render.failure_of(record) for record in records]
    facts = [
        (r.task_id, render.word_of(r), render.age(now - r.created), r.model or r.path)
        for r in records
    ]
    if width is None:
        return columns([(*row, *more) for row, *more in zip(facts, labels, reasons, strict=True)])
    lines = columns(facts)
    room = width - max(map(cell_len, lines), default=0) - len(_GAP)
    found = []
    for line, record, label, reason in zip(lines, records, labels, reasons, strict=True):
        if room >= _LEAST_ROOM:
            filled = set_cell_size(line, width - room)
            found.append(_with_colour(f"{filled}{cut(label, room)}".rstrip(), record))
        else:
            found += [_with_colour(line, record), f"{_INDENT}{cut(label, width - len(_INDENT))}"]
        if reason:
            text = wrap_at(f"{_INDENT}{reason}", width, _INDENT)
            found.append(render.coloured(render.state_of(record), text))
    return found


def _label(record: Record) -> str:
    """Return the metadata and the prompt of a record in one line: ``sku=A-1 a mule``."""
    pairs = (f"{name}={value}" for name, value in record.metadata.items())
    return one_line(" ".join([*pairs, record.label]))


def _with_colour(line: str, record: Record) -> str:
    """Return the line of a record with its status coloured."""
    name, word = record.task_id, render.word_of(record)
    start = line.index(word, len(name))
    end = start + len(word)
    return f"{line[:start]}{render.coloured(render.state_of(record), line[start:end])}{line[end:]}"
