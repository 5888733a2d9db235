"""``mulequeue run``."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import click

from mulequeue import catalog
from mulequeue.catalog.validation.calls import MODES
from mulequeue.cli.app import app_of, settings_of
from mulequeue.cli.completion import models
from mulequeue.cli.json_help import of_run
from mulequeue.cli.options import EXTRA_HELP, VALIDATE_HELP, extras, folders_of, input_object
from mulequeue.cli.preflight import check_inputs, check_number, storage_of
from mulequeue.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Call:
    """One generation as it was typed, checked."""

    model: catalog.Model
    input: dict[str, Any]
    storage: str
    poll_interval: float | None
    max_wait: float | None
    quiet: bool
    as_json: bool
    task_id: str
    validate: str | None
    warnings: list[str] = field(default_factory=list)


@click.command("run", epilog=of_run())
@click.argument("model", shell_complete=models)
@click.argument("prompt", required=False)
@click.option("--extra", multiple=True, metavar="KEY=VALUE", help=EXTRA_HELP)
@click.option(
    "--input", "input_file", metavar="FILE", help="JSON object to start from; - is stdin."
)
@click.option("--output", metavar="DIR", help="Folder or URL for the files.")
@click.option("--no-wait", is_flag=True, help="Only submit; print how to ask for it later.")
@click.option("--poll-interval", type=float, metavar="S", help="Seconds between checks.")
@click.option("--max-wait", type=float, metavar="S", help="Stop watching after so many seconds.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--validate", type=click.Choice(MODES), help=VALIDATE_HELP)
@click.option("--local", is_flag=True, help="Without workers and Redis: wait in this process.")
@click.pass_context
def run_command(
    ctx: click.Context,
    model: str,
    prompt: str | None,
    extra: tuple[str, ...],
    input_file: str | None,
    output: str | None,
    no_wait: bool,
    poll_interval: float | None,
    max_wait: float | None,
    quiet: bool,
    as_json: bool,
    validate: str | None,
    local: bool,
) -> None:
    """Make one generation with MODEL, of PROMPT or of any input, and store its files.

    Files to send are typed as --extra image=@photo.png. Workers read them only under
    mulequeue_input_roots; --local may also read the folders of the files that were typed.

    Exit code: 0 it succeeded and is stored, 1 it did not, 2 still running at --max-wait.
    """
    found = catalog.find(model)
    check_number("--max-wait", max_wait)
    check_number("--poll-interval", poll_interval)
    given = {**(input_object(input_file) if input_file else {}), **extras(extra)}
    if prompt is not None:
        given[found.prompt_field] = prompt
    if not given:
        raise InputError(f'Nothing to make: mulequeue run {model} "a mule at dawn".')
    app = app_of(ctx)
    settings = settings_of(app)
    call = Call(
        model=found,
        input=given,
        storage=storage_of(output, settings),
        poll_interval=poll_interval,
        max_wait=max_wait,
        quiet=quiet,
        as_json=as_json,
        task_id=str(uuid.uuid4()),
        validate=validate,
    )
    if local:
        from mulequeue.cli.local_run import run_here

        ctx.exit(run_here(call, settings, folders_of(extra), no_wait=no_wait))
    check_inputs([given], settings, found, warnings=call.warnings, validate=validate)
    from mulequeue.cli.worker_run import run_on_workers

    ctx.exit(run_on_workers(app, call, no_wait=no_wait))
