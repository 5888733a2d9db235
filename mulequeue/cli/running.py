"""``mulequeue run`` on the workers: enqueue, watch the record, tell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from mulequeue.cli.batch import do_without
from mulequeue.cli.checks import tell_warnings
from mulequeue.cli.errors import Stopped, one_line
from mulequeue.cli.fleet import ledger_of
from mulequeue.cli.outcomes import status_line, tell_outcome, tell_submitted
from mulequeue.cli.task_watch import TaskWatch
from mulequeue.cli.workers import WorkerHint
from mulequeue.ledger import outcome_of
from mulequeue.tasks import download, generate

if TYPE_CHECKING:
    from mulequeue.cli.run import Call


def run_on_workers(app: Any, call: Call, *, no_wait: bool) -> int:
    """Enqueue one generation and watch it; the exit code."""
    ledger = ledger_of(app)
    tell_warnings(call.warnings)
    stored = f"{call.task_id}-download"
    member = generate.s(
        call.model.name,
        call.input,
        poll_interval=call.poll_interval,
        on_failure="return",
        **({"validate": call.validate} if call.validate else {}),
    )
    chain = member.set(task_id=call.task_id) | download.s(storage=call.storage).set(task_id=stored)
    chain.apply_async()
    watch = TaskWatch(ledger, call.task_id, download_id=stored, say=None if call.quiet else _say)
    hint = WorkerHint(app, _say, lambda: watch.record is not None, local=do_without(call.task_id))
    gives_up = None if call.max_wait is None else time.monotonic() + call.max_wait
    try:
        while not (watch.look() or (no_wait and watch.has_remote_id)):
            if gives_up is not None and time.monotonic() >= gives_up:
                click.echo(f"Still running. {_go_on(call.task_id)}", err=True)
                return 2
            hint()
            time.sleep(0.2)
    except KeyboardInterrupt:
        raise Stopped(
            f"Stopped watching; it goes on in the workers. {_go_on(call.task_id)}"
        ) from None
    return _tell(watch, call, no_wait=no_wait)


def _tell(watch: TaskWatch, call: Call, *, no_wait: bool) -> int:
    record = watch.record
    assert record is not None
    if no_wait and record.remote_id and record.status in (None, "succeeded"):
        tell_submitted(record.api_path, record.remote_id, call.task_id, as_json=call.as_json)
        return 0
    outcome = outcome_of(record)
    if watch.problem:
        click.echo(f"Not stored: {one_line(watch.problem)}", err=True)
    tell_outcome(outcome, as_json=call.as_json)
    return 0 if outcome.succeeded and not watch.problem else 1


def _go_on(task_id: str) -> str:
    return f"Look again: {status_line(task_id)}"


def _say(text: str) -> None:
    click.echo(text, err=True)
