"""``mulequeue status``: the fleet, a task, a batch, or a generation at the API."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import click

from mulequeue.cli import preflight, render, results
from mulequeue.cli.costs import cost_of_batch
from mulequeue.cli.exits import FAILED, STILL_RUNNING, SUCCEEDED
from mulequeue.cli.ids import known_id
from mulequeue.cli.next_commands import next_commands, print_next_commands
from mulequeue.cli.options import (
    json_option,
    max_wait_option,
    poll_interval_option,
    quiet_option,
)
from mulequeue.cli.output import (
    json_keys,
    labelled,
    one_line,
    print_json,
    print_message,
    text_width,
)
from mulequeue.cli.status_batch import print_snapshot
from mulequeue.cli.status_task import timeline_lines
from mulequeue.cli.view import view_for
from mulequeue.cli.watch import Arrival, BatchWatch, TaskWatch, WatchOptions, watch
from mulequeue.cli.watch_checks import Unreceived, UnsentRest, WorkerHint, note_pauses
from mulequeue.errors import InputError
from mulequeue.ledger import Batch, Ledger, Record, outcome_of
from mulequeue.ledger.timeline import phases_of, timeline_json
from mulequeue.settings import Settings
from mulequeue.tasks.batch_ids import member_ids

_RUNNING_KEYS = (
    *("task_id", "status", "remote_id", "model", "api_path", "polls"),
    *("fair_key", "metadata", "estimated_usd", "errors", "problem", "problem_since"),
)
_FLEET_KEYS = ("fleet", "counts", "due", "overdue_seconds", "profiles", "learned", "queues")
_JSON_HELP = (
    f"With --json: for the fleet {json_keys(_FLEET_KEYS)}; for a batch {results.SUMMARY_JSON}; for a "
    "generation that is finished: the outcome, as with `run`, its fair_key and its timeline; otherwise "
    f"{json_keys((*_RUNNING_KEYS, 'timeline'))}."
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
        ctx.exit(_show_task(ledger, settings, name, options))
    ctx.exit(_show_batch(ledger, batch, options))


def _has_arrived(app: Any, ledger: Ledger, name: str, options: WatchOptions) -> bool:
    """Wait until a worker has received a task or batch. Return False if none has within ``max_wait``."""
    arrival = Arrival(ledger, name)
    if arrival.refresh():
        return True
    with view_for(name, quiet=options.quiet, line_seconds=0) as view:
        return watch(
            arrival,
            view,
            max_wait=options.max_wait,
            interrupted=f"Stopped watching. {results.watch_hint(name)}",
            checks=[
                WorkerHint(app, view.note, lambda: False),
                Unreceived(name, view.note),
            ],
        )


# A batch


def _show_batch(ledger: Ledger, batch: Batch, options: WatchOptions) -> int:
    """Show a batch, or watch it until it is over; return the exit code."""
    watched = BatchWatch(ledger, batch.batch_id, batch.size, all_endings=options.follow)
    watched.refresh()
    is_watching = options.is_waiting and render.done(watched.batch) < batch.size
    is_over = not is_watching or _watch_batch(ledger, watched, options)
    batch = watched.batch
    if options.as_json or is_watching:
        cost = cost_of_batch(ledger, batch)
        results.print_summary(batch, _seconds(ledger, batch), None, cost, as_json=options.as_json)
        if is_over and not options.as_json:
            print_next_commands(ledger, batch)
    else:
        print_snapshot(ledger, watched)
    if not is_over:
        return STILL_RUNNING
    all_succeeded = batch.counts.get("succeeded", 0) == batch.size
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
            checks=[
                partial(note_pauses, ledger, view.note),
                UnsentRest(ledger, lambda: watched.batch),
            ],
        )


def _seconds(ledger: Ledger, batch: Batch) -> float:
    """Return the seconds from the batch's start until now, or until its last member was over."""
    if batch.over < batch.size:
        return ledger.queries.now() - batch.created
    ends = (record.finished for record in results.read_records(ledger, member_ids(batch)))
    return max((end for end in ends if end), default=batch.created) - batch.created


# A task


def _show_task(ledger: Ledger, settings: Settings, task_id: str, options: WatchOptions) -> int:
    """Show a generation, or watch it until it is over; the exit code."""
    watched = TaskWatch(ledger, task_id)
    is_over = watched.refresh()
    if watched.record is None:
        _print_queued(task_id, as_json=options.as_json)
        return SUCCEEDED
    if options.is_waiting and not is_over:
        again = results.watch_hint(task_id)
        with view_for(task_id, quiet=options.quiet, line_seconds=0) as view:
            is_over = watch(
                watched,
                view,
                max_wait=options.max_wait,
                interrupted=f"Stopped watching. {again}",
                checks=[partial(note_pauses, ledger, view.note)],
            )
        if not is_over:
            print_message(f"Still running. {again}")
            return STILL_RUNNING
    _print_record(ledger, settings, watched.record, as_json=options.as_json)
    if watched.record.state == "waiting":
        note_pauses(ledger, print_message)
    if not options.as_json:
        for text in next_commands([watched.record], task_id):
            print_message(text)
    if watched.record.each_error:
        print_message(f"Call the task of each again:\n  mulequeue retry {task_id}")
    return SUCCEEDED if watched.record.status in (None, "succeeded") else FAILED


def _print_queued(name: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"task_id": name, "status": "queued"})
        return
    click.echo(labelled("task", name, 11))
    click.echo(labelled("status", "queued; no worker has received it", 11))


def _print_record(ledger: Ledger, settings: Settings, record: Record, *, as_json: bool) -> None:
    outcome = outcome_of(record) if record.is_over else None
    if as_json:
        data = outcome.to_dict() if outcome else results.record_data(record, _RUNNING_KEYS)
        print_json({**data, "fair_key": record.fair_key or None, "timeline": timeline_json(record)})
        return
    now = ledger.queries.now()
    reasons = _reasons(ledger, settings, record) if record.state == "generating" else ()
    rows = [*_rows(record, now), *reasons]
    if outcome and not outcome.succeeded:
        rows.append(("error", render.describe_error(outcome.error)))
    for name, value in rows:
        if value not in (None, ""):
            click.echo(labelled(name, value, 11))
    for line in timeline_lines(phases_of(record, now), text_width(sys.stdout)):
        click.echo(line)
    for item in (outcome.files or outcome.assets) if outcome else ():
        click.echo(f"{'file':<11}{item.url}")


def _rows(record: Record, now: float) -> Iterator[tuple[str, Any]]:
    yield "task", record.task_id
    yield "status", render.word_of(record)
    yield "model", record.model
    yield "prompt", one_line(record.label)
    yield "batch", record.batch
    yield "fair key", record.fair_key
    yield "path", record.api_path
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
    yield "cost", render.cost_of(record)
    yield "download", record.file_error
    yield "notify", record.notify_error
    yield "each", record.each_error


def _reasons(ledger: Ledger, settings: Settings, record: Record) -> Iterator[tuple[str, Any]]:
    """Return why a generation may not end."""
    yield "problem", _problem_line(record)
    yield "paused", _pause_line(ledger, record.profile)
    keys = {profile.fingerprint for profile in settings.known_profiles()}
    if keys and record.key not in keys.union(settings.former_fingerprints):
        yield "key", f"{record.key} of profile {record.profile}, which this machine does not have"


def _problem_line(record: Record) -> str | None:
    """Return why a generation does not end: the last error, how often in a row, and since when."""
    problem = record.problem
    if problem is None:
        return None
    count = f"{render.plural(record.errors, 'check')} in a row " if record.errors else ""
    return one_line(f"{problem.sentence} ({count}since {render.moment(problem.since)})")


def _pause_line(ledger: Ledger, profile: str) -> str | None:
    """Return until when the status checks of a profile are paused, and why."""
    pause = ledger.polling.pause_of(profile)
    if pause is None:
        return None
    until, reason = pause
    return one_line(f"status checks of profile {profile} until {render.moment(until)}: {reason}")
