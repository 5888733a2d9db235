"""``mulequeue run``."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import click

from mulequeue import catalog
from mulequeue.cli import preflight, results
from mulequeue.cli.exits import FAILED, STILL_RUNNING
from mulequeue.cli.models import example_command
from mulequeue.cli.options import complete_model, generation_options, poll_interval_option
from mulequeue.cli.output import one_line, print_message
from mulequeue.cli.preflight import Call
from mulequeue.cli.values import parse_params, read_object
from mulequeue.cli.watch import TaskWatch, watch
from mulequeue.cli.watch_checks import Unreceived, note_pause
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
@click.option("--no-wait", is_flag=True, help="Only enqueue; print the command that waits for it.")
@poll_interval_option
@click.pass_context
def run_command(
    ctx: click.Context,
    /,
    model: str,
    prompt: str | None,
    input_file: str | None,
    no_wait: bool,
    params: tuple[str, ...],
    **options: Any,
) -> None:
    """Make one generation with MODEL, from PROMPT or other input, and store its files.

    Send a file with --param image=@photo.png. Workers read files only under mulequeue_input_roots;
    --local also reads the folders of the files that are typed.

    Exit code: 0 it succeeded and is stored, 1 it did not, 2 still running at --max-wait.
    """
    found = catalog.find(model)
    given = {**(read_object(input_file) if input_file else {}), **parse_params(params)}
    if prompt is not None:
        given[found.prompt_field] = prompt
    if not given:
        raise InputError(f"The input is empty. Example: {example_command(found)}")
    call = Call.of(ctx, found, [given], params=params, **options)
    call = preflight.check_inputs(call)
    if call.local:
        from mulequeue.cli.local_run import run_locally

        ctx.exit(run_locally(call, no_wait=no_wait))
    ctx.exit(_run_on_workers(call, no_wait=no_wait))


def _run_on_workers(call: Call, *, no_wait: bool) -> int:
    """Enqueue one generation and watch it; return the exit code."""
    ledger = preflight.ledger_to_write(call.app)
    preflight.print_notes(call.notes)
    task_id = str(uuid.uuid4())
    download_id = _enqueue(call, task_id)
    ledger.enqueued.add([task_id], ttl_seconds=call.settings.record_ttl_seconds)
    if no_wait:
        path = call.model.api_path
        return results.print_submitted(path, task_id=task_id, as_json=call.as_json)
    if not call.quiet:
        print_message(f"Task {task_id}")
    watched = TaskWatch(ledger, task_id, download_id=download_id)
    is_over = watch(
        watched,
        call.model.name,
        call,
        interrupted=results.stopped_hint(task_id),
        checks=[
            Unreceived(call.app, watched, task_id, partial(_enqueue, call, task_id)),
            lambda note: note_pause(ledger, note, call.model.path),
        ],
    )
    if not is_over:
        print_message(f"Still running. {results.continue_hint(task_id)}")
        return STILL_RUNNING
    return _report(watched, as_json=call.as_json)


def _enqueue(call: Call, task_id: str) -> str:
    """Publish the generation and its download; return the download's task id."""
    download_id = f"{task_id}-download"
    more = {"validate": call.validate, "metadata": call.metadata, "fair_key": call.fair_key}
    member = generate.s(
        call.model.name,
        call.inputs[0],
        poll_interval=call.poll_interval,
        on_failure="return",
        **{name: value for name, value in more.items() if value},
    )
    stored = download.s(storage=call.storage).set(task_id=download_id)
    (member.set(task_id=task_id) | stored).apply_async()
    return download_id


def _report(watched: TaskWatch, *, as_json: bool) -> int:
    record = watched.record
    assert record is not None
    if watched.problem:
        print_message(f"Not stored: {one_line(watched.problem)}")
    code = results.print_outcome(outcome_of(record), as_json=as_json)
    return FAILED if watched.problem else code
