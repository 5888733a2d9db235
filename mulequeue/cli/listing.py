"""``mulequeue list``."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from mulequeue.cli.app import app_of, check_redis, settings_of
from mulequeue.cli.batch_view import echo_json
from mulequeue.cli.batch_watch import records_of
from mulequeue.cli.error_line import one_line
from mulequeue.cli.json_help import COUNTED, of_list
from mulequeue.cli.output import print_message
from mulequeue.cli.render import SIGNS, WORDS, progress_line
from mulequeue.errors import InputError
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.tasks.canvases import member_ids

_CHOICES = [name for name in WORDS if name not in ("queued", "tombstone")]
_STATUS_HELP = f"Only these: {', '.join(_CHOICES)}."


@click.command("list", epilog=of_list())
@click.option("--status", type=click.Choice(_CHOICES), metavar="STATUS", help=_STATUS_HELP)
@click.option("--batch", metavar="BATCH_ID", help="Only members of this batch.")
@click.option("--batches", is_flag=True, help="The batches, instead of generations.")
@click.option("--limit", default=50, show_default=True, metavar="N", help="The newest N.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
@click.pass_context
def list_command(
    ctx: click.Context,
    status: str | None,
    batch: str | None,
    batches: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List the generations the ledger holds, or the batches, the newest first.

    Without --batch it looks through all that the ledger keeps (7 days), so it takes a while on a
    large one.
    """
    settings = settings_of(app_of(ctx))
    check_redis(settings.redis_url)
    ledger = Ledger.of(settings)
    if batches:
        if status or batch:
            raise InputError("--batches goes with neither --status nor --batch.")
        _list_batches(ledger, max(0, limit), as_json=as_json)
        return
    records = [
        record
        for record in records_of(ledger, _task_ids(ledger, batch))
        if record.state != "tombstone" and status in (None, record.status or record.state)
    ]
    newest = sorted(records, key=lambda record: record.created, reverse=True)[: max(0, limit)]
    if as_json:
        echo_json([_data(record) for record in newest])
        return
    for line in lines(newest, ledger.queries.now(), _width()):
        click.echo(line)
    if len(records) > len(newest):
        print_message(f"… and {len(records) - len(newest):,} more (--limit)")
    elif not records:
        print_message("Nothing in the ledger.")


def _task_ids(ledger: Ledger, batch_id: str | None) -> list[str]:
    """Of a batch's members, or all there are.

    :raises InputError: no such batch.
    """
    if batch_id is None:
        return sorted(set(ledger.queries.task_ids()))
    batch = ledger.queries.batch(batch_id)
    if batch is None:
        raise InputError(f"The ledger knows no batch {batch_id}. See: mulequeue list --batches")
    return member_ids(batch)


def _list_batches(ledger: Ledger, limit: int, *, as_json: bool) -> None:
    known = (ledger.queries.batch(batch_id) for batch_id in set(ledger.queries.batch_ids()))
    found = sorted(
        (batch for batch in known if batch is not None),
        key=lambda batch: batch.created,
        reverse=True,
    )
    if as_json:
        echo_json([_batch_data(batch) for batch in found[:limit]])
        return
    width = max((len(batch.batch_id) for batch in found[:limit]), default=0)
    now = ledger.queries.now()
    for batch in found[:limit]:
        ago = age(now - batch.created)
        click.echo(f"{batch.batch_id:<{width}}  {ago:<6}  {progress_line(batch)}")
    if len(found) > limit:
        print_message(f"… and {len(found) - limit:,} more (--limit)")
    elif not found:
        print_message("No batch in the ledger.")


def _batch_data(batch: Batch) -> dict[str, object]:
    counts = {name: batch.counts.get(name, 0) for name in COUNTED}
    return {
        "batch_id": batch.batch_id,
        "size": batch.size,
        **counts,
        "files": batch.files,
        "created_at": datetime.fromtimestamp(batch.created, UTC).isoformat(timespec="seconds"),
    }


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def lines(records: Sequence[Record], now: float, width: int | None) -> list[str]:
    """A line each, in columns: id, status, age, model, prompt.

    :param now: unix seconds of Redis' clock.
    :param width: of the terminal, for which the prompt is cut and the status coloured; None: a pipe.
    """
    rows = [
        (
            record.task_id,
            WORDS.get(record.status or record.state, record.status or record.state),
            age(now - record.created),
            record.model or record.path,
            one_line(record.label),
        )
        for record in records
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    found = []
    for record, row in zip(records, rows, strict=True):
        cells = [f"{text:<{size}}" for text, size in zip(row, widths, strict=False)]
        text = "  ".join([*cells, row[4]]).rstrip()
        if width is not None:
            start = len(cells[0]) + 2
            text = _coloured(text[:width], start, start + len(row[1]), record)
        found.append(text)
    return found


def _coloured(text: str, start: int, end: int, record: Record) -> str:
    """The line with its status in the status' colour."""
    _, colour = SIGNS.get(record.status or record.state, ("", None))
    return (
        text[:start]
        + click.style(text[start:end], fg=colour, dim=None if colour else True)
        + text[end:]
    )


def age(seconds: float) -> str:
    """``12 s``, ``5 min``, ``3 h``, ``2 d``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _data(record: Record) -> dict[str, object]:
    return {
        "task_id": record.task_id,
        "status": record.status or record.state,
        "batch_id": record.batch,
        "model": record.model,
        "api_path": record.api_path if record.path else None,
        "remote_id": record.remote_id,
        "prompt": record.label,
        "files": [item.url for item in record.files],
    }
