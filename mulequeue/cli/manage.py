"""``mulequeue cancel``, ``resume`` and ``adopt``."""

from __future__ import annotations

import uuid
from collections import Counter

import click

from mulequeue import catalog
from mulequeue.cli.app import app_of, ledger_of, settings_of
from mulequeue.cli.batch_view import echo_json
from mulequeue.cli.completion import models
from mulequeue.cli.json_help import STARTED, keys
from mulequeue.cli.outcome_output import status_line
from mulequeue.cli.preflight import storage_of


@click.command("cancel", epilog="With --json: {task id: the state it was in}.")
@click.argument("name", metavar="TASK_ID|BATCH_ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def cancel_command(ctx: click.Context, name: str, as_json: bool) -> None:
    """Cancel a task or a batch on our side.

    The API has no cancel: what was submitted already goes on there, and is paid.
    """
    app = app_of(ctx)
    ledger_of(app)
    from mulequeue.tasks import canvases

    states = canvases.cancel(name, app=app)
    if as_json:
        echo_json(states)
        return
    for state, count in Counter(states.values()).items():
        click.echo(f"{count} {_cancel_result(state)}")


def _cancel_result(state: str) -> str:
    return {
        "unknown": "not known yet; if it arrives, it will not be started",
        "waiting": "cancelled before anything was sent",
        "submitting": "cancelled while it was being submitted; it may exist and be paid",
        "generating": "cancelled; the API goes on with it, and it is paid",
    }.get(state, f"left alone: {state} already")


@click.command("resume", epilog=f"With --json: {keys(STARTED)}.")
@click.argument("task_id")
@click.option("--output", metavar="DIR", help="Folder or URL for the files.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def resume_command(ctx: click.Context, task_id: str, output: str | None, as_json: bool) -> None:
    """Take up a generation again whose id is known: cancelled, timed out, or a late id.

    It gets a new task id; nothing is submitted and nothing paid again.
    """
    app = app_of(ctx)
    ledger_of(app)
    from mulequeue.tasks import canvases

    _start(ctx, canvases.resume(task_id, app=app), output, as_json=as_json)


@click.command("adopt", epilog=f"With --json: {keys(STARTED)}.")
@click.argument("api_path", metavar="API_PATH|MODEL", shell_complete=models)
@click.argument("remote_id")
@click.option("--output", metavar="DIR", help="Folder or URL for the files.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def adopt_command(
    ctx: click.Context, api_path: str, remote_id: str, output: str | None, as_json: bool
) -> None:
    """Wait for a generation that exists already, and store its files. Never submits."""
    found = catalog.find(api_path)
    ledger_of(app_of(ctx))
    from mulequeue.tasks.definitions import adopt

    _start(ctx, adopt.s(found.api_path, remote_id), output, as_json=as_json)


def _start(ctx: click.Context, signature: object, output: str | None, *, as_json: bool) -> None:
    from mulequeue.tasks.definitions import download

    app = app_of(ctx)
    task_id = str(uuid.uuid4())
    storage = storage_of(output, settings_of(app))
    chain = signature.set(task_id=task_id) | download.s(storage=storage)  # type: ignore[attr-defined]
    chain.apply_async()
    if as_json:
        echo_json({"task_id": task_id})
        return
    click.echo(f"Waiting for it as task {task_id}. Look:\n  {status_line(task_id)}")
