"""``mulequeue status BATCH_ID``: a batch at one moment, or until it is over."""

from __future__ import annotations

import sys
import time
from functools import partial

import click

from mulequeue.cli import render, results
from mulequeue.cli.costs import cost_line, cost_of_batch
from mulequeue.cli.exits import FAILED, STILL_RUNNING, SUCCEEDED
from mulequeue.cli.output import is_rich, print_message, wrap
from mulequeue.cli.view import view_for
from mulequeue.cli.watch import BatchWatch, WatchOptions, watch
from mulequeue.cli.watch_checks import UnsentRest, note_pauses
from mulequeue.ledger import Batch, Ledger
from mulequeue.tasks.batch_ids import member_ids

MAX_FAILURES = 20
"""In a snapshot; ``mulequeue list`` shows all."""


def show_batch(ledger: Ledger, batch: Batch, options: WatchOptions) -> int:
    """Show a batch, or watch it until it is over; return the exit code."""
    watched = BatchWatch(ledger, batch.batch_id, batch.size, all_endings=options.follow)
    watched.refresh()
    is_watching = options.is_waiting and watched.batch.done < batch.size
    is_over = not is_watching or _watch_batch(ledger, watched, options)
    batch = watched.batch
    if options.as_json or is_watching:
        cost = cost_of_batch(ledger, batch)
        results.print_summary(batch, _seconds(ledger, batch), None, cost, as_json=options.as_json)
        if is_over and not options.as_json:
            results.print_next_commands(ledger, batch)
    else:
        _print_snapshot(ledger, watched)
    if not is_over:
        return STILL_RUNNING
    all_succeeded = batch.succeeded == batch.size
    return SUCCEEDED if all_succeeded or batch.over < batch.size else FAILED


def _watch_batch(ledger: Ledger, watched: BatchWatch, options: WatchOptions) -> bool:
    name = watched.batch.batch_id
    started = time.monotonic() - (ledger.queries.now() - watched.batch.created)
    with view_for(f"batch {name}", quiet=options.quiet, started=started) as view:
        return watch(
            watched,
            view,
            max_wait=options.max_wait,
            interrupted=results.stopped_hint(name),
            checks=[partial(note_pauses, ledger, view.note), UnsentRest(ledger, watched)],
        )


def _seconds(ledger: Ledger, batch: Batch) -> float:
    """Return the seconds from the batch's start until now, or until its last member was over."""
    if batch.over < batch.size:
        return ledger.queries.now() - batch.created
    ends = (record.finished for record in results.read_records(ledger, member_ids(batch)))
    return max((end for end in ends if end), default=batch.created) - batch.created


def _print_snapshot(ledger: Ledger, watched: BatchWatch) -> None:
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
    for text in results.next_commands(records, batch.batch_id):
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
