"""``mulequeue status``: the fleet, a task, a batch, or a generation at the API."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import click
from rich.console import Console

from mulequeue.cli import preflight, render, results
from mulequeue.cli.costs import cost_line, cost_of, cost_of_batch
from mulequeue.cli.exits import FAILED, STILL_RUNNING, SUCCEEDED
from mulequeue.cli.ids import known_id
from mulequeue.cli.options import json_option, max_wait_option, poll_interval_option, quiet_option
from mulequeue.cli.output import (
    is_rich,
    json_keys,
    one_line,
    print_json,
    print_message,
    print_rows,
    text_width,
    wrap,
    wrap_at,
)
from mulequeue.cli.view import ending_row
from mulequeue.cli.watch import Arrival, TaskWatch, WatchOptions, watch
from mulequeue.cli.watch_batch import BatchWatch
from mulequeue.cli.watch_checks import Unreceived, note_pauses
from mulequeue.errors import InputError
from mulequeue.ledger import Batch, Ledger, Record, outcome_of
from mulequeue.ledger.timeline import Phase, phases_of, timeline_json
from mulequeue.settings import Settings
from mulequeue.tasks.batch_ids import member_ids

MAX_FAILURES = 20
"""Maximum number of failures in a snapshot; ``mulequeue list`` shows all."""
_RUNNING_KEYS = (
    *("task_id", "status", "remote_id", "model", "api_path", "polls"),
    *("fair_key", "metadata", "estimated_usd", "errors", "problem", "problem_since"),
)
_LABEL_COLUMNS = 11
_PHASE_COLUMNS = 12
_BAR_COLUMNS = 24
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
    """Wait until a worker has received a task or batch; return False if this takes longer than ``max_wait``."""
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
    """Return the seconds from the creation of a batch to the end of its last member, or until now."""
    if batch.over < batch.size:
        return ledger.queries.now() - batch.created
    ends = (record.finished for record in results.read_records(ledger, member_ids(batch)))
    return max((end for end in ends if end), default=batch.created) - batch.created


def _print_snapshot(ledger: Ledger, watched: BatchWatch) -> None:
    """Print the counts, the cost and the failures of a batch, and the commands that a user can run next."""
    batch = watched.batch
    click.echo(render.progress_line(batch))
    if cost := cost_line(cost_of_batch(ledger, batch)):
        click.echo(cost)
    failures = watched.new_endings()
    for record in failures[:MAX_FAILURES]:
        _print_ending(record)
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


def _print_ending(record: Record) -> None:
    if not is_rich(sys.stdout):
        click.echo(wrap(render.ending_line(record), sys.stdout))
        return
    Console(highlight=False).print(ending_row(record))


# A generation


def _show_task(ledger: Ledger, settings: Settings, task_id: str, options: WatchOptions) -> int:
    """Show a generation, or watch it until it is over; return the exit code."""
    watched = TaskWatch(ledger, task_id)
    is_over = watched.refresh()
    if watched.record is None:
        if options.as_json:
            print_json({"task_id": task_id, "status": "queued"})
        else:
            rows = [("task", task_id), ("status", "queued; no worker has received it")]
            print_rows(rows, _LABEL_COLUMNS)
        return SUCCEEDED
    if options.is_waiting and not is_over:
        again = results.watch_hint(task_id)
        is_over = watch(
            watched,
            task_id,
            options,
            interrupted=f"Stopped watching. {again}",
            checks=[partial(note_pauses, ledger)],
        )
        if not is_over:
            print_message(f"Still running. {again}")
            return STILL_RUNNING
    _print_record(ledger, settings, watched.record, as_json=options.as_json)
    if watched.record.state == "waiting":
        note_pauses(ledger, print_message)
    if not options.as_json:
        results.print_next_commands([watched.record], task_id)
    return SUCCEEDED if watched.record.status in (None, "succeeded") else FAILED


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
    print_rows(rows, _LABEL_COLUMNS)
    for line in timeline_lines(phases_of(record, now), text_width(sys.stdout)):
        click.echo(line)
    for item in (outcome.files or outcome.assets) if outcome else ():
        click.echo(f"{'file':<{_LABEL_COLUMNS}}{item.url}")


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
    if record.seconds is not None:
        yield "took", render.clock(record.seconds)
    elif record.began is not None:
        yield "running", render.clock(now - record.began)
        yield "deadline", f"in {render.clock(record.deadline - now)}" if record.deadline else None
    yield "checks", record.polls
    yield "cost", cost_of(record)
    yield "download", record.file_error
    yield "notify", record.notify_error
    yield "each", record.each_error


def _reasons(ledger: Ledger, settings: Settings, record: Record) -> Iterator[tuple[str, Any]]:
    """Iterate over label and text of each reason why the end of a generation may not be noticed."""
    if (problem := record.problem) is not None:
        count = f"{render.plural(record.errors, 'check')} in a row " if record.errors else ""
        since = f"{count}since {render.moment(problem.since)}"
        yield "problem", one_line(f"{problem.sentence} ({since})")
    if (pause := ledger.polling.pause_of(record.profile)) is not None:
        until = f"status checks of profile {record.profile} until {render.moment(pause[0])}"
        yield "paused", one_line(f"{until}: {pause[1]}")
    keys = {profile.fingerprint for profile in settings.known_profiles()}
    if keys and record.key not in keys.union(settings.former_fingerprints):
        yield "key", f"{record.key} of profile {record.profile}, which this machine does not have"


# The timeline


def timeline_lines(phases: Sequence[Phase], columns: int | None = None) -> Iterator[str]:
    """Iterate over one line per phase: its name, a bar that shows when it was, its duration and its detail.

    :param columns: width of the terminal. A detail that does not fit is on separate lines. None: no limit.
    """
    if not phases:
        return
    start, end = phases[0].started, max(phase.ended for phase in phases)
    scale = _BAR_COLUMNS / max(end - start, 0.001)
    for number, phase in enumerate(phases):
        left = min(int((phase.started - start) * scale), _BAR_COLUMNS - 1)
        width = max(1, min(round(phase.seconds * scale), _BAR_COLUMNS - left))
        bar = (" " * left + "█" * width).ljust(_BAR_COLUMNS)
        label = "timeline" if number == 0 else ""
        text = f"{label:<{_LABEL_COLUMNS}}{phase.name:<{_PHASE_COLUMNS}}{bar} {render.short_time(phase.seconds):>9}"
        yield from _with_detail(text, phase.detail, columns)


def _with_detail(text: str, detail: str, columns: int | None) -> Iterator[str]:
    line = f"{text}  {detail}".rstrip()
    if columns is None or len(line) <= columns:
        yield line
        return
    indent = " " * (_LABEL_COLUMNS + _PHASE_COLUMNS)
    yield from (text, *wrap_at(f"{indent}{detail}", columns, indent).split("\n"))
