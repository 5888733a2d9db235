"""``mulequeue batch``."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import click

from mulequeue import catalog
from mulequeue.cli import preflight, results
from mulequeue.cli.costs import confirm, print_dry_run
from mulequeue.cli.exits import STILL_RUNNING, sigterm_as_interrupt
from mulequeue.cli.manifest import Manifest, member_records, written_at_end
from mulequeue.cli.options import complete_model, generation_options
from mulequeue.cli.output import print_message
from mulequeue.cli.preflight import Call
from mulequeue.cli.prompts import Reading, read_prompts
from mulequeue.cli.render import plural
from mulequeue.cli.row_paths import row_templates
from mulequeue.cli.values import parse_params
from mulequeue.cli.watch import watch
from mulequeue.cli.watch_batch import BatchWatch, is_sent
from mulequeue.cli.watch_checks import Unreceived, note_pause
from mulequeue.errors import InputError
from mulequeue.ledger import Batch, Ledger
from mulequeue.settings.costs import check_batch
from mulequeue.tasks.batches import digest_of
from mulequeue.tasks.canvases import generate_many
from mulequeue.tasks.retry import retry

DEFAULT_MODEL = "alibaba/wan2.6-t2i"


@click.command("batch", epilog=results.SUMMARY_HELP)
@click.argument("file", type=click.Path(allow_dash=True))
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="Name or /vendors/… path.",
    shell_complete=complete_model,
)
@click.option("--column", metavar="NAME", help="Column of the prompts.  [default: prompt]")
@click.option(
    "--ignore-column",
    "ignored",
    metavar="NAME",
    multiple=True,
    help="Column that is no parameter although it has the name of one. Repeatable.",
)
@click.option("--encoding", metavar="NAME", help="Encoding of FILE, such as cp1252.")
@click.option(
    "--path",
    metavar="TEMPLATE",
    help="Name of each file: {COLUMN}, {row}, {prompt}, and the names of mulequeue_storage_path.",
)
@click.option("--manifest", metavar="CSV", help="Write the result of each row to this file.")
@click.option("--dry-run", is_flag=True, help="Check everything, show the cost, and send nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a large batch.")
@generation_options
@click.option("--notify", metavar="URL", help="Send a signed notification when all are done.")
@click.option(
    "--batch-id",
    metavar="ID",
    help="Name the batch; while its record is kept, reusing the ID never bills twice.",
)
@click.pass_context
def batch_command(
    ctx: click.Context,
    /,
    file: str,
    model: str,
    batch_id: str | None,
    path: str | None,
    manifest: str | None,
    dry_run: bool,
    yes: bool,
    params: tuple[str, ...],
    column: str | None,
    ignored: tuple[str, ...],
    encoding: str | None,
    **options: Any,
) -> None:
    """Make a generation from every prompt in FILE, and store the files.

    FILE is TSV (unquoted) or CSV with a header, JSONL of input objects or texts, or one prompt per
    line; `-` is standard input. Columns with the name of a parameter of the model are used for their
    row. --param is added to every input that lacks the field.

    On a terminal a batch above mulequeue_confirm_above generations or mulequeue_confirm_above_usd asks
    first.

    The workers run the generations and continue if this command ends. Exit code: 0 all succeeded
    and are stored, 1 something failed or is unknown, 2 still running at --max-wait.
    """
    found = catalog.find(model)
    given = parse_params(params)
    reading = Reading(model=found, column=column, ignored=ignored, encoding=encoding)
    prompts = read_prompts(file, reading)
    inputs = [{**given, **row.input} for row in prompts.rows]
    call = Call.of(ctx, found, inputs, params=params, **options)
    if path:
        call = replace(call, paths=row_templates(path, prompts, call.inputs, found.prompt_field))
    _check_options(call, batch_id)
    check_batch(call.settings, model, call.inputs, fair_key=call.fair_key)
    call = preflight.check_inputs(call, [row.where for row in prompts.rows])
    call = replace(call, notes=(*prompts.notes(quiet=call.quiet), *call.notes))
    kept = Manifest(manifest, prompts, file, call) if manifest is not None else None
    if dry_run:
        preflight.print_notes(call.notes)
        print_dry_run(call)
        return
    with sigterm_as_interrupt():
        if call.local:
            from mulequeue.cli.local_run import run_batch_locally

            confirm(call, yes=yes)
            ctx.exit(run_batch_locally(call, kept))
        ctx.exit(_run_on_workers(call, batch_id, yes=yes, manifest=kept))


def _check_options(call: Call, batch_id: str | None) -> None:
    """Raise InputError if ``--batch-id`` or ``--notify`` is invalid, or combined with ``--local``."""
    if call.local and (batch_id or call.notify):
        raise InputError("--batch-id and --notify need workers; omit them with --local.")
    if batch_id is not None and not batch_id.strip():
        raise InputError("--batch-id is empty: every run would be billed again. Give a name.")
    preflight.check_notification(call.notify, call.settings)


def _run_on_workers(
    call: Call, given_id: str | None, *, yes: bool, manifest: Manifest | None
) -> int:
    """Enqueue a batch, unless it exists, and watch it; return the exit code."""
    ledger = preflight.ledger_to_write(call.app)
    batch_id = given_id or uuid.uuid4().hex[:12]
    known = ledger.queries.batch(batch_id) if given_id else None
    if known is not None:
        _check_same(known, call)
    preflight.print_notes(call.notes)
    if known is None:
        confirm(call, yes=yes)
    started = time.monotonic()
    watched = BatchWatch(ledger, batch_id, len(call.inputs))
    enqueue = partial(_enqueue, call, batch_id)
    rest = f"\nThe same command with --batch-id {batch_id} completes the manifest."
    rest = rest if manifest is not None else ""
    with written_at_end(manifest, lambda: member_records(ledger, watched.batch)):
        _send(ledger, call, batch_id, known, enqueue)
        is_over = watch(
            watched,
            f"{call.model.name} · batch {batch_id}",
            call,
            interrupted=results.stopped_hint(batch_id) + rest,
            checks=[
                Unreceived(call.app, watched, batch_id, enqueue),
                lambda note: note_pause(ledger, note, call.model.path),
            ],
        )
    _check_same(watched.batch, call)  # another process may have sent the batch first
    seconds, as_json = time.monotonic() - started, call.as_json
    code = results.report_batch(
        ledger, watched.batch, seconds, call.storage, as_json=as_json, is_over=is_over
    )
    if is_over:
        return code
    print_message(f"Still running. {results.continue_hint(batch_id)}{rest}")
    return STILL_RUNNING


def _send(
    ledger: Ledger, call: Call, batch_id: str, known: Batch | None, enqueue: Callable[..., None]
) -> None:
    """Enqueue the batch unless all its members have begun.

    If the batch exists, also retry its members that were refused and not billed, and print what was done.

    :param known: the batch, if it exists.
    """
    if known is None or known.begun < known.size:
        # If the task of the batch was revoked or given up, the batch needs a task with a new id.
        enqueue(is_fresh=known is not None and not is_sent(ledger, known))
        ledger.enqueued.add([batch_id], ttl_seconds=call.settings.record_ttl_seconds)
    if known is not None:
        print_message(_continue(call, known))


def _continue(call: Call, known: Batch) -> str:
    """Retry the members of a known batch that were refused and not billed; return a message about it."""
    retried = retry(known.batch_id, app=call.app).unpaid if not known.is_cancelled else ()
    if retried:
        done = f"{plural(len(retried), 'refused generation')} retried."
    elif known.begun < known.size:
        done = "the rest of it is enqueued."
    else:
        done = "nothing is enqueued again."
    return f"Batch {known.batch_id} exists; {done}"


def _check_same(known: Batch, call: Call) -> None:
    """Raise InputError if the known batch has another model or other inputs than the call."""
    digest = digest_of(call.model.name, call.inputs)
    if known.size == len(call.inputs) and known.digest in (None, digest):
        return
    raise InputError(
        f"Batch {known.batch_id} exists and was made from other prompts ({known.size} of them), "
        "with other parameters, or with another model. Give another --batch-id."
    )


def _enqueue(call: Call, batch_id: str, *, is_fresh: bool = False) -> None:
    """Publish the message of a batch.

    :param is_fresh: give the task of the batch a new id; the ids of the members stay the same.
    """
    batch = generate_many(
        call.model.name,
        call.inputs,
        storage=call.storage,
        path=call.paths or None,
        notify=call.notify,
        batch_id=batch_id,
        validate=call.validate,
        metadata=call.metadata or None,
        fair_key=call.fair_key,
    )
    if is_fresh:
        first = batch.tasks[0] if call.notify else batch
        first.set(task_id=f"{first.id}-{uuid.uuid4().hex[:6]}")
    batch.apply_async()
