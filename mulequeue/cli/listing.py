"""``mulequeue list``."""

from __future__ import annotations

import shutil
import sys

import click

from mulequeue.cli.fleet import app_of, check_redis, settings_of
from mulequeue.cli.progress import WORDS
from mulequeue.cli.view import echo_json
from mulequeue.cli.watching import records_of
from mulequeue.ledger import Ledger, Record

_CHOICES = [name for name in WORDS if name not in ("queued", "tombstone")]


@click.command("list")
@click.option("--status", type=click.Choice(_CHOICES), help="Only these.")
@click.option("--batch", metavar="BATCH_ID", help="Only members of this batch.")
@click.option("--limit", default=50, show_default=True, metavar="N", help="The newest N.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
@click.pass_context
def list_command(
    ctx: click.Context, status: str | None, batch: str | None, limit: int, as_json: bool
) -> None:
    """List the generations the ledger holds, the newest first.

    It reads every record the ledger keeps (7 days of them), so it takes a while on a large one.
    """
    settings = settings_of(app_of(ctx))
    check_redis(settings.redis_url)
    ledger = Ledger.of(settings)
    records = [
        record
        for record in records_of(ledger, sorted(set(ledger.task_ids())))
        if record.state != "tombstone"
        and status in (None, record.status or record.state)
        and batch in (None, record.batch)
    ]
    newest = sorted(records, key=lambda record: record.created, reverse=True)[: max(0, limit)]
    if as_json:
        echo_json([_data(record) for record in newest])
        return
    for record in newest:
        click.echo(_line(record))
    if len(records) > len(newest):
        click.echo(f"… and {len(records) - len(newest)} more (--limit)", err=True)
    elif not records:
        click.echo("Nothing in the ledger.", err=True)


def _line(record: Record) -> str:
    word = WORDS.get(record.status or record.state, record.status or record.state)
    text = f"{record.task_id:<20}  {word:<10}  {record.model or record.path:<20}  {record.label}"
    return text[: shutil.get_terminal_size().columns] if sys.stdout.isatty() else text


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
