"""``mulequeue status``: the fleet, a task, a batch, or a generation at the API."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from mulequeue.cli import preflight, render, results
from mulequeue.cli.options import (
    check_seconds,
    json_option,
    max_wait_option,
    poll_interval_option,
    quiet_option,
)
from mulequeue.cli.output import json_keys, one_line, print_json, print_message, wrap
from mulequeue.cli.view import view_for
from mulequeue.cli.watch import BatchWatch, TaskWatch, WatchOptions, watch
from mulequeue.errors import InputError
from mulequeue.ledger import Batch, Ledger, Record, outcome_of
from mulequeue.tasks.batch_ids import member_ids

MAX_FAILURES = 20
"""In a snapshot; ``mulequeue list`` shows all."""
_RUNNING_KEYS = ("task_id", "status", "remote_id", "model", "api_path", "polls")
_FLEET_KEYS = ("fleet", "counts", "due", "overdue_seconds", "profiles", "learned")
_JSON_HELP = (
    f"With --json: for the fleet {json_keys(_FLEET_KEYS)}; for a batch {results.SUMMARY_JSON}; for a "
    "generation that is finished: the outcome, as with `run`; otherwise "
    f"{json_keys(_RUNNING_KEYS)}."
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
def status_command(
    ctx: click.Context,
    names: tuple[str, ...],
    wait: bool,
    follow: bool,
    poll_interval: float | None,
    max_wait: float | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show the fleet, a task, a batch, or a generation at the API.

    Without an id it shows the fleet: --wait ends when nothing is in progress, --follow with Ctrl-C.

    API_PATH REMOTE_ID asks the API itself and needs a key, but neither Redis nor workers; API_PATH
    may also be a model's name. A snapshot of something that still runs exits with 0; with --wait the
    exit codes are those of `run` and `batch`.
    """
    check_seconds("--max-wait", max_wait)
    check_seconds("--poll-interval", poll_interval)
    settings = preflight.settings_of(preflight.app_of(ctx))
    options = WatchOptions(
        wait=wait, follow=follow, max_wait=max_wait, quiet=quiet, as_json=as_json
    )
    if len(names) > 2:
        raise InputError("status takes nothing, one id, or API_PATH REMOTE_ID.")
    if len(names) == 2:
        from mulequeue.cli.local_run import show_remote

        ctx.exit(show_remote(settings, *names, options, poll_interval))
    ledger = preflight.ledger_to_read(settings)
    if not names:
        from mulequeue.cli.fleet_status import show_fleet

        ctx.exit(show_fleet(ledger, settings, options))
    batch = ledger.queries.batch(names[0])
    if batch is None:
        ctx.exit(_show_task(ledger, names[0], options))
    ctx.exit(_show_batch(ledger, batch, options))


# A batch


def _show_batch(ledger: Ledger, batch: Batch, options: WatchOptions) -> int:
    """Show a batch, or watch it until it is over; return the exit code."""
    watched = BatchWatch(
        ledger, batch.batch_id, batch.size, all_endings=options.follow, with_files=False
    )
    watched.refresh()
    is_watching = options.is_waiting and render.done(watched.batch) < batch.size
    is_over = not is_watching or _watch_batch(ledger, watched, options)
    batch = watched.batch
    if options.as_json or is_watching:
        summary = results.summary_of(batch, _seconds(ledger, batch))
        results.print_summary(summary, None, as_json=options.as_json)
    else:
        _print_snapshot(watched)
    if not is_over:
        return results.STILL_RUNNING
    all_succeeded = batch.counts.get("succeeded", 0) == batch.size
    return results.SUCCEEDED if all_succeeded or batch.over < batch.size else results.FAILED


def _watch_batch(ledger: Ledger, watched: BatchWatch, options: WatchOptions) -> bool:
    batch = watched.batch
    started = time.monotonic() - (ledger.queries.now() - batch.created)
    with view_for(f"batch {batch.batch_id}", quiet=options.quiet, started=started) as view:
        return watch(
            watched,
            view,
            max_wait=options.max_wait,
            interrupted=f"Stopped watching; the workers continue. {results.continue_hint(batch.batch_id)}",
        )


def _seconds(ledger: Ledger, batch: Batch) -> float:
    """Return the seconds from the batch's start until now, or until its last member was over."""
    if batch.over < batch.size:
        return ledger.queries.now() - batch.created
    ends = (record.finished for record in results.read_records(ledger, member_ids(batch)))
    return max((end for end in ends if end), default=batch.created) - batch.created


def _print_snapshot(watched: BatchWatch) -> None:
    batch = watched.batch
    click.echo(render.progress_line(batch))
    failures = watched.new_endings()
    for ending in failures[:MAX_FAILURES]:
        _print_ending(ending)
    if len(failures) > MAX_FAILURES:
        print_message(
            f"… and {len(failures) - MAX_FAILURES} more that did not succeed:\n"
            f"  mulequeue list --batch {batch.batch_id} --limit {batch.size}"
        )
    if batch.over < batch.size:
        print_message(f"Still running. Watch it:\n  {results.status_command_for(batch.batch_id)}")


def _print_ending(ending: render.Ending) -> None:
    if not sys.stdout.isatty():
        click.echo(ending.line())
        return
    from rich.console import Console

    from mulequeue.cli.live_view import ending_row

    Console(highlight=False).print(ending_row(ending))


# A task


def _show_task(ledger: Ledger, name: str, options: WatchOptions) -> int:
    """Show a generation, or watch it until it is over; the exit code.

    :param name: its task id or remote id.
    :raises InputError: neither is in the ledger.
    """
    task_id = name if ledger.queries.record(name) else ledger.queries.task_of(name) or name
    watched = TaskWatch(ledger, task_id)
    is_over = watched.refresh()
    if watched.record is None:
        raise InputError(
            f"The ledger has no task, batch or remote id {name}. Records are kept for 7 days "
            "(mulequeue_record_ttl_seconds). At the API: mulequeue status API_PATH REMOTE_ID"
        )
    if options.is_waiting and not is_over:
        again = f"Watch it:\n  {results.status_command_for(task_id)}"
        with view_for(task_id, quiet=options.quiet, line_seconds=0) as view:
            is_over = watch(
                watched, view, max_wait=options.max_wait, interrupted=f"Stopped watching. {again}"
            )
        if not is_over:
            print_message(f"Still running. {again}")
            return results.STILL_RUNNING
    _print_record(watched.record, ledger.queries.now(), as_json=options.as_json)
    return results.SUCCEEDED if watched.record.status in (None, "succeeded") else results.FAILED


def _print_record(record: Record, now: float, *, as_json: bool) -> None:
    if as_json:
        print_json(outcome_of(record).to_dict() if record.is_over else _running(record))
        return
    for name, value in _rows(record, now):
        if value not in (None, ""):
            click.echo(f"{name:<10} {value}")
    if record.is_over:
        outcome = outcome_of(record)
        if not outcome.succeeded:
            reason = f"{'error':<10} {render.describe_error(outcome.error)}"
            click.echo(wrap(reason, sys.stdout, indent=11))
        for item in outcome.files or outcome.assets:
            click.echo(f"{'file':<10} {item.url}")


def _rows(record: Record, now: float) -> Iterator[tuple[str, Any]]:
    yield "task", record.task_id
    yield "status", render.word_of(record)
    yield "model", record.model
    yield "prompt", one_line(record.label)
    yield "batch", record.batch
    yield "path", record.api_path if record.path else None
    yield "remote id", record.remote_id
    yield "late id", record.late_remote_id
    yield "submitted", record.submitted and render.moment(record.submitted)
    yield "finished", record.finished and render.moment(record.finished)
    begun = record.started or record.submitted
    if begun is not None and record.finished is not None:
        yield "took", render.clock(record.finished - begun)
    elif begun is not None:
        yield "running", render.clock(now - begun)
        yield "deadline", f"in {render.clock(record.deadline - now)}" if record.deadline else None
    yield "checks", record.polls


def _running(record: Record) -> dict[str, Any]:
    values = (
        record.task_id,
        record.state,
        record.remote_id,
        record.model,
        record.api_path if record.path else None,
        record.polls,
    )
    return dict(zip(_RUNNING_KEYS, values, strict=True))
