"""``mulequeue status BATCH_ID``."""

from __future__ import annotations

import sys
import time

import click

from mulequeue.cli.batch import how_to_go_on, tell
from mulequeue.cli.batch_view import view_for
from mulequeue.cli.batch_watch import BatchWatch, records_of, summary_of, watch
from mulequeue.cli.error_line import Stopped
from mulequeue.cli.outcome_output import status_line
from mulequeue.cli.output import say
from mulequeue.cli.render import done, end_line, progress_line
from mulequeue.cli.watch_options import Waiting
from mulequeue.ledger import Batch, Ledger
from mulequeue.tasks.canvases import member_ids

MOST_FAILURES = 20
"""In a snapshot; ``mulequeue list`` has them all."""


def tell_batch(ledger: Ledger, batch: Batch, how: Waiting) -> int:
    """Show a batch, or watch it to its end; the exit code."""
    watched = BatchWatch(ledger, batch.batch_id, batch.size, all_ends=how.follow)
    was_done = done(watched.look()) >= batch.size
    is_over = _watch(ledger, watched, how) if how.waits and not was_done else True
    summary = summary_of(watched.batch, _seconds(ledger, watched.batch))
    is_running = watched.batch.over < watched.batch.size
    if how.as_json or (how.waits and not was_done):
        tell(summary, None, as_json=how.as_json)
    else:
        _snapshot(watched, is_running=is_running)
    if not is_over:
        return 2
    return 0 if is_running or summary.succeeded == summary.submitted else 1


def _watch(ledger: Ledger, watched: BatchWatch, how: Waiting) -> bool:
    """Until it is over; False: ``max_wait`` has passed."""
    batch = watched.look()
    started = time.monotonic() - (ledger.now() - batch.created)
    with view_for(f"batch {batch.batch_id}", quiet=how.quiet, started=started) as view:
        try:
            return watch(watched, view, max_wait=how.max_wait, with_files=False)
        except KeyboardInterrupt:
            raise Stopped(how_to_go_on(batch.batch_id)) from None


def _seconds(ledger: Ledger, batch: Batch) -> float:
    """From its beginning until now, or until its last member was over."""
    if batch.over < batch.size:
        return ledger.now() - batch.created
    ends = (record.finished for record in records_of(ledger, member_ids(batch)))
    return max((end for end in ends if end), default=batch.created) - batch.created


def _snapshot(watched: BatchWatch, *, is_running: bool) -> None:
    click.echo(progress_line(watched.batch))
    failures = watched.ends(now=True)
    for record in failures[:MOST_FAILURES]:
        if sys.stdout.isatty():
            from rich.console import Console

            from mulequeue.cli.live_view import ending

            Console(highlight=False).print(ending(record))
        else:
            click.echo(end_line(record))
    batch_id = watched.batch.batch_id
    if len(failures) > MOST_FAILURES:
        say(
            f"… and {len(failures) - MOST_FAILURES} more that did not succeed:\n"
            f"  mulequeue list --batch {batch_id} --limit {watched.batch.size}"
        )
    if is_running:
        say(f"It goes on in the workers. Watch it:\n  {status_line(batch_id)}")
