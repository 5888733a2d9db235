"""``mulequeue run``."""

from __future__ import annotations

import uuid
from typing import Any

import click

from mulequeue import catalog
from mulequeue.cli import preflight, results
from mulequeue.cli.hints import PauseHint, WorkerHint
from mulequeue.cli.options import (
    Call,
    check_seconds,
    complete_model,
    folders_of,
    generation_options,
    parse_params,
    poll_interval_option,
    read_object,
)
from mulequeue.cli.output import one_line, print_message
from mulequeue.cli.view import view_for
from mulequeue.cli.watch import TaskWatch, watch
from mulequeue.errors import InputError
from mulequeue.ledger import outcome_of
from mulequeue.tasks.definitions import download, generate

_JSON_HELP = (
    f"With --json: the outcome, {results.OUTCOME_JSON}; with --no-wait {results.SUBMITTED_JSON}. "
    "mulequeue.Outcome documents the keys."
)


@click.command("run", epilog=_JSON_HELP)
@click.argument("model", shell_complete=complete_model)
@click.argument("prompt", required=False)
@click.option(
    "--input", "input_file", metavar="FILE", help="JSON object to start from; - is stdin."
)
@generation_options
@click.option("--no-wait", is_flag=True, help="Only submit; print the command that waits for it.")
@poll_interval_option
@click.pass_context
def run_command(
    ctx: click.Context,
    model: str,
    prompt: str | None,
    input_file: str | None,
    params: tuple[str, ...],
    output: str | None,
    max_wait: float | None,
    validate: str | None,
    local: bool,
    quiet: bool,
    as_json: bool,
    no_wait: bool,
    poll_interval: float | None,
) -> None:
    """Make one generation with MODEL, from PROMPT or other input, and store its files.

    Send a file with --param image=@photo.png. Workers read files only under mulequeue_input_roots;
    --local also reads the folders of the files that are typed.

    Exit code: 0 it succeeded and is stored, 1 it did not, 2 still running at --max-wait.
    """
    found = catalog.find(model)
    check_seconds("--max-wait", max_wait)
    check_seconds("--poll-interval", poll_interval)
    given = {**(read_object(input_file) if input_file else {}), **parse_params(params)}
    if prompt is not None:
        given[found.prompt_field] = prompt
    if not given:
        raise InputError(f'The input is empty. Example: mulequeue run {model} "a mule at dawn".')
    app = preflight.app_of(ctx)
    settings = preflight.settings_of(app)
    call = Call(
        model=found,
        inputs=[given],
        storage=preflight.storage_of(output, settings),
        folders=folders_of(params),
        validate=validate,
        poll_interval=poll_interval,
        max_wait=max_wait,
        quiet=quiet,
        as_json=as_json,
    )
    if local:
        from mulequeue.cli.local_run import run_locally

        ctx.exit(run_locally(call, settings, no_wait=no_wait))
    warnings = preflight.check_inputs(call.inputs, settings, found, validate=validate)
    ctx.exit(_run_on_workers(app, call, warnings, no_wait=no_wait))


def _run_on_workers(app: Any, call: Call, warnings: list[str], *, no_wait: bool) -> int:
    """Enqueue one generation and watch it; return the exit code."""
    ledger = preflight.ledger_to_write(app)
    preflight.print_warnings(warnings)
    task_id = str(uuid.uuid4())
    download_id = _enqueue(call, task_id)
    watched = TaskWatch(ledger, task_id, download_id=download_id, until_submitted=no_wait)
    with view_for(call.model.name, quiet=call.quiet, line_seconds=0) as view:
        hint = WorkerHint(app, view.note, lambda: watched.record is not None, name=task_id)
        is_over = watch(
            watched,
            view,
            max_wait=call.max_wait,
            interrupted=f"Stopped watching; the workers continue. {results.continue_hint(task_id)}",
            checks=[hint, PauseHint(ledger, view.note)],
        )
    if not is_over:
        print_message(f"Still running. {results.continue_hint(task_id)}")
        return results.STILL_RUNNING
    return _report(watched, task_id, as_json=call.as_json, no_wait=no_wait)


def _enqueue(call: Call, task_id: str) -> str:
    """Publish the generation and its download; return the download's task id."""
    download_id = f"{task_id}-download"
    member = generate.s(
        call.model.name,
        call.inputs[0],
        poll_interval=call.poll_interval,
        on_failure="return",
        **({"validate": call.validate} if call.validate else {}),
    )
    stored = download.s(storage=call.storage).set(task_id=download_id)
    (member.set(task_id=task_id) | stored).apply_async()
    return download_id


def _report(watched: TaskWatch, task_id: str, *, as_json: bool, no_wait: bool) -> int:
    record = watched.record
    assert record is not None
    if no_wait and record.remote_id and record.status in (None, "succeeded"):
        return results.print_submitted(record.api_path, record.remote_id, task_id, as_json=as_json)
    if watched.problem:
        print_message(f"Not stored: {one_line(watched.problem)}")
    code = results.print_outcome(outcome_of(record), as_json=as_json)
    return results.FAILED if watched.problem else code
