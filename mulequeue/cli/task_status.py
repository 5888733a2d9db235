"""``mulequeue status TASK_ID``, or the remote id of a generation."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any

import click

from mulequeue.cli.batch_view import echo_json
from mulequeue.cli.error_line import Interrupted, one_line
from mulequeue.cli.outcome_output import reason, status_line
from mulequeue.cli.output import print_message, wrap
from mulequeue.cli.render import WORDS, clock
from mulequeue.cli.task_view import TaskView
from mulequeue.cli.task_watch import TaskWatch
from mulequeue.cli.watch_options import WatchOptions
from mulequeue.errors import InputError
from mulequeue.ledger import Ledger, Record, outcome_of


def print_task(ledger: Ledger, name: str, how: WatchOptions) -> int:
    """Show a generation, or watch it to its end; the exit code.

    :param name: its task id or remote id.
    :raises InputError: the ledger knows neither.
    """
    task_id = name if ledger.queries.record(name) else ledger.queries.task_of(name) or name
    view = TaskView(quiet=how.quiet or not how.is_waiting)
    watched = TaskWatch(ledger, task_id, print_message=view.say)
    is_over = watched.refresh()
    if watched.record is None:
        raise InputError(
            f"The ledger knows no task, batch or remote id {name}. Records are kept 7 days "
            "(mulequeue_record_ttl_seconds). At the API: mulequeue status API_PATH REMOTE_ID"
        )
    if how.is_waiting and not is_over and not _watch(watched, view, how.max_wait):
        print_message(f"Still running. Look again:\n  {status_line(task_id)}")
        return 2
    _print_record(watched.record, ledger.queries.now(), as_json=how.as_json)
    return 0 if watched.record.status in (None, "succeeded") else 1


def _watch(watched: TaskWatch, view: TaskView, max_wait: float | None) -> bool:
    """Until it is over; False: ``max_wait`` seconds have passed."""
    gives_up = None if max_wait is None else time.monotonic() + max_wait
    try:
        with view:
            while not watched.refresh():
                if gives_up is not None and time.monotonic() >= gives_up:
                    return False
                view.tick(watched.record)
                time.sleep(0.25)
    except KeyboardInterrupt:
        again = status_line(watched.task_id)
        raise Interrupted(f"Stopped watching. Look again:\n  {again}") from None
    return True


def _print_record(record: Record, now: float, *, as_json: bool) -> None:
    if as_json:
        echo_json(outcome_of(record).to_dict() if record.is_over else _under_way(record))
        return
    for name, value in _rows(record, now):
        if value not in (None, ""):
            click.echo(f"{name:<10} {value}")
    if record.is_over:
        outcome = outcome_of(record)
        if not outcome.succeeded:
            click.echo(wrap(f"{'because':<10} {reason(outcome)}", sys.stdout, indent=11))
        for item in outcome.files or outcome.assets:
            click.echo(f"{'file':<10} {item.url}")


def _rows(record: Record, now: float) -> list[tuple[str, Any]]:
    return [
        ("task", record.task_id),
        ("status", WORDS.get(record.status or record.state, record.status or record.state)),
        ("model", record.model),
        ("prompt", one_line(record.label)),
        ("batch", record.batch),
        ("path", record.api_path if record.path else None),
        ("remote id", record.remote_id),
        ("late id", record.late_remote_id),
        ("submitted", _time(record.submitted)),
        ("finished", _time(record.finished)),
        *_how_long(record, now),
        ("checks", record.polls),
    ]


def _how_long(record: Record, now: float) -> list[tuple[str, Any]]:
    """How long it took, or has been running and may go on."""
    begun = record.started or record.submitted
    if begun is None:
        return []
    if record.finished is not None:
        return [("took", clock(record.finished - begun))]
    given_up = f"{clock(record.deadline - now)} from now" if record.deadline else None
    return [("running", clock(now - begun)), ("given up", given_up)]


def _under_way(record: Record) -> dict[str, Any]:
    return {
        "task_id": record.task_id,
        "status": record.state,
        "remote_id": record.remote_id,
        "model": record.model,
        "api_path": record.api_path if record.path else None,
        "polls": record.polls,
    }


def _time(at: float | None) -> str | None:
    return None if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
