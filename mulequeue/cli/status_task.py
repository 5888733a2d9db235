"""``mulequeue status TASK_ID``: a generation with its timeline, at one moment or until it is over."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import click

from mulequeue.cli import render, results
from mulequeue.cli.costs import cost_of
from mulequeue.cli.exits import FAILED, STILL_RUNNING, SUCCEEDED
from mulequeue.cli.output import (
    one_line,
    print_json,
    print_message,
    print_rows,
    text_width,
    wrap_at,
)
from mulequeue.cli.watch import TaskWatch, WatchOptions, watch
from mulequeue.cli.watch_checks import note_pauses
from mulequeue.ledger import Ledger, Record, outcome_of
from mulequeue.ledger.timeline import Phase, phases_of, timeline_json
from mulequeue.settings import Settings

RUNNING_KEYS = (
    *("task_id", "status", "remote_id", "model", "api_path", "polls"),
    *("fair_key", "metadata", "estimated_usd", "errors", "problem", "problem_since"),
)
_LABEL_COLUMNS = 11
_PHASE_COLUMNS = 12
_BAR_COLUMNS = 24


def show_task(ledger: Ledger, settings: Settings, task_id: str, options: WatchOptions) -> int:
    """Show a generation, or watch it until it is over; the exit code."""
    watched = TaskWatch(ledger, task_id)
    is_over = watched.refresh()
    if watched.record is None:
        _print_queued(task_id, as_json=options.as_json)
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


def _print_queued(name: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"task_id": name, "status": "queued"})
        return
    rows = [("task", name), ("status", "queued; no worker has received it")]
    print_rows(rows, _LABEL_COLUMNS)


def _print_record(ledger: Ledger, settings: Settings, record: Record, *, as_json: bool) -> None:
    outcome = outcome_of(record) if record.is_over else None
    if as_json:
        data = outcome.to_dict() if outcome else results.record_data(record, RUNNING_KEYS)
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
    """Return why a generation may not end."""
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
    """Iterate over one line per phase: its name, its place in the whole time, its duration and its reason.

    :param columns: a reason that does not fit into them is on separate lines; None: there is no limit.
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
        text = f"{label:<{_LABEL_COLUMNS}}{phase.name:<{_PHASE_COLUMNS}}{bar} {_seconds(phase.seconds):>9}"
        yield from _with_detail(text, phase.detail, columns)


def _with_detail(text: str, detail: str, columns: int | None) -> Iterator[str]:
    line = f"{text}  {detail}".rstrip()
    if columns is None or len(line) <= columns:
        yield line
        return
    indent = " " * (_LABEL_COLUMNS + _PHASE_COLUMNS)
    yield from (text, *wrap_at(f"{indent}{detail}", columns, indent).split("\n"))


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
