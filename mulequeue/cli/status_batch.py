"""A batch at one moment, as ``mulequeue status`` prints it."""

from __future__ import annotations

import sys

import click

from mulequeue.cli import render, results
from mulequeue.cli.costs import cost_line, cost_of_batch
from mulequeue.cli.next_commands import next_commands
from mulequeue.cli.output import is_rich, print_message, wrap
from mulequeue.cli.watch import BatchWatch
from mulequeue.cli.watch_checks import note_pauses
from mulequeue.ledger import Ledger
from mulequeue.tasks.batch_ids import member_ids

MAX_FAILURES = 20
"""In a snapshot; ``mulequeue list`` shows all."""


def print_snapshot(ledger: Ledger, watched: BatchWatch) -> None:
    """Print the counts of a batch that was read, its failures, and the command for what is next."""
    batch = watched.batch
    click.echo(render.progress_line(batch))
    cost = cost_line(cost_of_batch(ledger, batch))
    if cost:
        click.echo(cost)
    failures = watched.new_endings()
    for ending in failures[:MAX_FAILURES]:
        _print_ending(ending)
    if len(failures) > MAX_FAILURES:
        print_message(
            f"… and {len(failures) - MAX_FAILURES} more that did not succeed:\n"
            f"  mulequeue list --batch {batch.batch_id} --limit {batch.size}"
        )
    if batch.over < batch.size:
        if batch.counts.get("waiting"):
            note_pauses(ledger, print_message)
        print_message(f"Still running. {results.watch_hint(batch.batch_id)}")
        return
    records = results.read_records(ledger, member_ids(batch))
    for text in next_commands(records, batch.batch_id):
        print_message(text)
    if given_up := sum(bool(record.each_error) for record in records):
        print_message(
            f"The task of each was given up for {render.plural(given_up, 'member')}. Call it again:\n"
            f"  mulequeue retry {batch.batch_id}"
        )


def _print_ending(ending: render.Ending) -> None:
    if not is_rich(sys.stdout):
        click.echo(wrap(ending.line(), sys.stdout))
        return
    from rich.console import Console

    from mulequeue.cli.live_view import ending_row

    Console(highlight=False).print(ending_row(ending))
