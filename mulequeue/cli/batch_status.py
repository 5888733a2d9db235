"""``mulequeue status BATCH_ID``."""

from __future__ import annotations

import sys
import time

import click

from mulequeue.cli.batch import print_summary, resume_hint
from mulequeue.cli.batch_view import view_for
from mulequeue.cli.batch_watch import BatchWatch, records_of, summary_of, watch
from mulequeue.cli.error_line import Interrupted
from mulequeue.cli.outcome_output import status_line
from mulequeue.cli.output import print_message
from mulequeue.cli.render import done, end_line, progress_line
from mulequeue.cli.watch_options import WatchOptions
from mulequeue.ledger import Batch, Ledger
from mulequeue.tasks.canvases import member_ids

MAX_FAILURES = 20
"""In a snapshot; ``mulequeue list`` has them all."""


def print_batch(ledger: Ledger, batch: Batch, how: WatchOptions) -> int:
    """Show a batch, or watch it to its end; the exit code."""
    watched = BatchWatch(ledger, batch.batch_id, batch.size, all_ends=how.follow)
    was_done = done(watched.refresh()) >= batch.size
    is_over = _watch(ledger, watched, how) if how.is_waiting and not was_done else True
    summary = summary_of(watched.batch, _seconds(ledger, watched.batch))
    is_running = watched.batch.over < watched.batch.size
    if how.as_json or (how.is_waiting and not was_done):
        print_summary(summary, None, as_json=how.as_json)
    else:
        _snapshot(watched, is_running=is_running)
    if not is_over:
        return 2
    return 0 if is_running or summary.succeeded == summary.submitted else 1


def _watch(ledger: Ledger, watched: BatchWatch, how: WatchOptions) -> bool:
    """Until it is over; False: ``max_wait`` has passed."""
    batch = watched.refresh()
    started = time.monotonic() - (ledger.queries.now() - batch.created)
    with view_for(f"batch {batch.batch_id}", quiet=how.quiet, started=started) as view:
        try:
            return watch(watched, view, max_wait=how.max_wait, with_files=False)
        except KeyboardInterrupt:
            raise Interrupted(resume_hint(batch.batch_id)) from None


def _seconds(ledger: Ledger, batch: Batch) -> float:
    """From its beginning until now, or until its last member was over."""
    if batch.over < batch.size:
        return ledger.queries.now() - batch.created
    ends = (record.finished for record in records_of(ledger, member_ids(batch)))
    return max((end for end in ends if end), default=batch.created) - batch.created


def _snapshot(watched: BatchWatch, *, is_running: bool) -> None:
    click.echo(progress_line(watched.batch))
    failures = watched.ends(now=True)
    for record in failures[:MAX_FAILURES]:
        if sys.stdout.isatty():
            from rich.console import Console

            from mulequeue.cli.live_view import ending

            Console(highlight=False).print(ending(record))
        else:
            click.echo(end_line(record))
    batch_id = watched.batch.batch_id
    if len(failures) > MAX_FAILURES:
        print_message(
            f"… and {len(failures) - MAX_FAILURES} more that did not succeed:\n"
            f"  mulequeue list --batch {batch_id} --limit {watched.batch.size}"
        )
    if is_running:
        print_message(f"It goes on in the workers. Watch it:\n  {status_line(batch_id)}")
