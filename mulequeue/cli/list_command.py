"""``mulequeue list``."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from mulequeue.cli import preflight, render, results
from mulequeue.cli.output import json_keys, one_line, print_json, print_message
from mulequeue.errors import InputError
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.outcome import OUTCOME_STATUSES
from mulequeue.tasks.batch_ids import member_ids

_RECORD_KEYS = (
    "task_id",
    "status",
    "batch_id",
    "model",
    "api_path",
    "remote_id",
    "prompt",
    "files",
)
_COUNTED = ("waiting", "submitting", "generating", *OUTCOME_STATUSES)
_BATCH_KEYS = ("batch_id", "size", *_COUNTED, "files", "created_at")
_JSON_HELP = (
    f"With --json: an array of {json_keys(_RECORD_KEYS)}; with --batches of "
    f"{json_keys(_BATCH_KEYS)}."
)
_CHOICES = [name for name in render.WORDS if name not in ("queued", "tombstone")]
_STATUS_HELP = f"Show only these: {', '.join(_CHOICES)}."


@click.command("list", epilog=_JSON_HELP)
@click.option("--status", type=click.Choice(_CHOICES), metavar="STATUS", help=_STATUS_HELP)
@click.option("--batch", metavar="BATCH_ID", help="Show only members of this batch.")
@click.option("--batches", is_flag=True, help="Show batches instead of generations.")
@click.option("--limit", default=50, show_default=True, metavar="N", help="Show the newest N.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array on stdout.")
@click.pass_context
def list_command(
    ctx: click.Context,
    status: str | None,
    batch: str | None,
    batches: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List the generations or the batches in the ledger, the newest first.

    Without --batch it reads every record that the ledger keeps (7 days), which takes a while on a
    large ledger.
    """
    limit = max(0, limit)
    ledger = preflight.ledger_to_read(preflight.settings_of(preflight.app_of(ctx)))
    if batches and (status or batch):
        raise InputError("--batches cannot be combined with --status or --batch.")
    if batches:
        _list_batches(ledger, limit, as_json=as_json)
        return
    records = [
        record
        for record in results.read_records(ledger, _task_ids(ledger, batch))
        if record.state != "tombstone" and status in (None, render.state_of(record))
    ]
    newest = sorted(records, key=lambda record: record.created, reverse=True)[:limit]
    if as_json:
        print_json([_record_data(record) for record in newest])
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in record_lines(newest, ledger.queries.now(), width):
        click.echo(line)
    _print_rest(len(records), limit, "generation")


def _task_ids(ledger: Ledger, batch_id: str | None) -> list[str]:
    """Return the task ids of a batch, or of all records.

    :raises InputError: the batch does not exist.
    """
    if batch_id is None:
        return sorted(set(ledger.queries.task_ids()))
    batch = ledger.queries.batch(batch_id)
    if batch is None:
        raise InputError(f"The ledger has no batch {batch_id}. See: mulequeue list --batches")
    return member_ids(batch)


def _list_batches(ledger: Ledger, limit: int, *, as_json: bool) -> None:
    known = [ledger.queries.batch(batch_id) for batch_id in set(ledger.queries.batch_ids())]
    found = [batch for batch in known if batch is not None]
    newest = sorted(found, key=lambda batch: batch.created, reverse=True)[:limit]
    if as_json:
        print_json([_batch_data(batch) for batch in newest])
        return
    width = max((len(batch.batch_id) for batch in newest), default=0)
    now = ledger.queries.now()
    for batch in newest:
        ago = render.age(now - batch.created)
        click.echo(f"{batch.batch_id:<{width}}  {ago:<6}  {render.progress_line(batch)}")
    _print_rest(len(found), limit, "batch")


def _print_rest(count: int, limit: int, noun: str) -> None:
    if count > limit:
        print_message(f"… and {count - limit:,} more (--limit)")
    elif not count:
        print_message(f"No {noun} found in the ledger.")


def record_lines(records: Sequence[Record], now: float, width: int | None) -> list[str]:
    """Return one line per record, in columns: id, status, age, model, prompt.

    :param now: unix seconds of Redis' clock.
    :param width: the terminal's, at which prompts are cut off; None: a pipe.
    """
    rows = [
        (
            record.task_id,
            render.word_of(record),
            render.age(now - record.created),
            record.model or record.path,
            one_line(record.label),
        )
        for record in records
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = []
    for record, row in zip(records, rows, strict=True):
        cells = [f"{text:<{size}}" for text, size in zip(row, widths, strict=False)]
        line = "  ".join([*cells, row[4]]).rstrip()
        if width is not None:
            start = len(cells[0]) + 2
            end = start + len(row[1])
            line = line[:width]
            status = render.coloured(render.state_of(record), line[start:end])
            line = f"{line[:start]}{status}{line[end:]}"
        lines.append(line)
    return lines


def _record_data(record: Record) -> dict[str, object]:
    values = (
        record.task_id,
        render.state_of(record),
        record.batch,
        record.model,
        record.api_path if record.path else None,
        record.remote_id,
        record.label,
        [item.url for item in record.files],
    )
    return dict(zip(_RECORD_KEYS, values, strict=True))


def _batch_data(batch: Batch) -> dict[str, object]:
    created = datetime.fromtimestamp(batch.created, UTC).isoformat(timespec="seconds")
    counts = [batch.counts.get(name, 0) for name in _COUNTED]
    values = (batch.batch_id, batch.size, *counts, batch.files, created)
    return dict(zip(_BATCH_KEYS, values, strict=True))
