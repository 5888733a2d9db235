"""``mulequeue status``: the fleet, a task, a batch, or a generation at the API."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import click

from mulequeue.cli import preflight, render, results
from mulequeue.cli.costs import cost_line, cost_of_batch
from mulequeue.cli.exits import FAILED, STILL_RUNNING, SUCCEEDED
from mulequeue.cli.ids import known_id
from mulequeue.cli.options import json_option, max_wait_option, poll_interval_option, quiet_option
from mulequeue.cli.output import is_rich, json_keys, print_message, wrap
from mulequeue.cli.status_task import RUNNING_KEYS, show_task
from mulequeue.cli.watch import Arrival, BatchWatch, WatchOptions, watch
from mulequeue.cli.watch_checks import Unreceived, note_pauses
from mulequeue.errors import InputError
from mulequeue.ledger import Batch, Ledger
from mulequeue.tasks.batch_ids import member_ids

MAX_FAILURES = 20
"""In a snapshot; ``mulequeue list`` shows all."""
_FLEET_KEYS = ("fleet", "counts", "due", "overdue_seconds", "profiles", "learned", "queues")
_JSON_HELP = (
    f"With --json: for the fleet {json_keys(_FLEET_KEYS)}; for a batch {results.SUMMARY_JSON}; for a "
    "generation that is finished: the outcome, as with `run`, its fair_key and its timeline; otherwise "
    f"{json_keys((*RUNNING_KEYS, 'timeline'))}."
)


@click.command("status", epilog=_JSON_HELP)
@click.argument("names", nargs=-1, metavar="[ID | BATCH_ID | API_PATH REMOTE_ID]")
@click.option("--wait", is_flag=True, help="Wait until it is over.")
@click.option("--follow", is_flag=True, help="Like --wait, and print every change.")
@poll_interval_option
@max_wait_option
@quiet_option
@json_option
@click.pass_context
def status_command(ctx: click.Context, /, names: tuple[str, ...], **given: Any) -> None:
    """Show the fleet, a task, a batch, or a generation at the API.

    Without an id it shows the fleet: --wait ends when nothing is in progress, --follow with Ctrl-C.

    API_PATH REMOTE_ID asks the API itself and needs a key, but neither Redis nor workers; API_PATH
    may also be a model's name. A snapshot of something that still runs exits with 0; with --wait the
    exit codes are those of `run` and `batch`.
    """
    app = preflight.app_of(ctx)
    settings = preflight.settings_of(app)
    options = WatchOptions(**given)
    if len(names) > 2:
        raise InputError("status takes nothing, one id, or API_PATH REMOTE_ID.")
    if len(names) == 2:
        from mulequeue.cli.local_run import show_remote

        ctx.exit(show_remote(settings, *names, options))
    ledger = preflight.ledger_to_read(settings)
    if not names:
        from mulequeue.cli.status_fleet import show_fleet

        ctx.exit(show_fleet(app, ledger, settings, options))
    name = known_id(ledger, names[0])
    if options.is_waiting and not _has_arrived(app, ledger, name, options):
        ctx.exit(STILL_RUNNING)
    batch = ledger.queries.batch(name)
    if batch is None:
        ctx.exit(show_task(ledger, settings, name, options))
    ctx.exit(_show_batch(ledger, batch, options))


def _has_arrived(app: Any, ledger: Ledger, name: str, options: WatchOptions) -> bool:
    """Wait until a worker has received a task or batch. Return False if none has within ``max_wait``."""
    arrival = Arrival(ledger, name)
    return arrival.refresh() or watch(
        arrival,
        name,
        options,
        interrupted=f"Stopped watching. {results.watch_hint(name)}",
        checks=[Unreceived(app, arrival, name)],
    )


# A batch


def _show_batch(ledger: Ledger, batch: Batch, options: WatchOptions) -> int:
    """Show a batch, or watch it until it is over; return the exit code."""
    name = batch.batch_id
    watched = BatchWatch(ledger, name, batch.size, all_endings=options.follow)
    watched.refresh()
    is_watching = options.is_waiting and watched.batch.done < batch.size
    is_over = not is_watching or watch(
        watched,
        f"batch {name}",
        options,
        interrupted=results.stopped_hint(name),
        age=ledger.queries.now() - watched.batch.created,
        checks=[partial(note_pauses, ledger)],
    )
    batch = watched.batch
    if options.as_json or is_watching:
        seconds = _seconds(ledger, batch)
        results.report_batch(ledger, batch, seconds, as_json=options.as_json, is_over=is_over)
    else:
        _print_snapshot(ledger, watched)
    if not is_over:
        return STILL_RUNNING
    all_succeeded = batch.succeeded == batch.size
    return SUCCEEDED if all_succeeded or batch.over < batch.size else FAILED


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
    if cost := cost_line(cost_of_batch(ledger, batch)):
        click.echo(cost)
    failures = watched.new_endings()
    for ending in failures[:MAX_FAILURES]:
        _print_ending(ending)
    if len(failures) > MAX_FAILURES:
        print_message(
            f"… and {len(failures) - MAX_FAILURES} more that did not succeed:\n"
            f"  mulequeue list --batch {batch.batch_id} --limit {batch.size}"
        )
    if batch.over == batch.size:
        records = results.read_records(ledger, member_ids(batch))
        results.print_next_commands(records, batch.batch_id)
        return
    if batch.counts.get("waiting"):
        note_pauses(ledger, print_message)
    print_message(f"Still running. {results.watch_hint(batch.batch_id)}")


def _print_ending(ending: render.Ending) -> None:
    if not is_rich(sys.stdout):
        click.echo(wrap(ending.line(), sys.stdout))
        return
    from rich.console import Console

    from mulequeue.cli.live_view import ending_row

    Console(highlight=False).print(ending_row(ending))
