"""``mulequeue batch``."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import click
from celery import signals

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
)
from mulequeue.cli.output import Interrupted, print_message
from mulequeue.cli.prompts import read_inputs
from mulequeue.cli.resend import Resender
from mulequeue.cli.view import View, enqueue_progress, view_for
from mulequeue.cli.watch import BatchWatch, watch
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.settings.budgets import check_batch
from mulequeue.tasks.batch_ids import member_id
from mulequeue.tasks.canvases import generate_many

_MODEL_HELP = "Name or /vendors/… path."
DEFAULT_MODEL = "alibaba/wan2.6-t2i"


@click.command("batch", epilog=results.SUMMARY_HELP)
@click.argument("file", type=click.Path(allow_dash=True))
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help=_MODEL_HELP,
    shell_complete=complete_model,
)
@click.option("--column", metavar="NAME", help="Column of a table.  [default: prompt]")
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
    file: str,
    model: str,
    column: str | None,
    params: tuple[str, ...],
    output: str | None,
    max_wait: float | None,
    validate: str | None,
    local: bool,
    quiet: bool,
    as_json: bool,
    notify: str | None,
    batch_id: str | None,
) -> None:
    """Make a generation from every prompt in FILE, and store the files.

    FILE is TSV (unquoted) or CSV with a header, JSONL of input objects or texts, or one prompt per
    line; `-` is standard input. --param is added to every input that lacks the field.

    The workers run the generations and continue if this command ends. Exit code: 0 all succeeded
    and are stored, 1 something failed or is unknown, 2 still running at --max-wait.
    """
    found = catalog.find(model)
    check_seconds("--max-wait", max_wait)
    given = parse_params(params)
    inputs = read_inputs(file, column=column, prompt_field=found.prompt_field)
    app = preflight.app_of(ctx)
    settings = preflight.settings_of(app)
    check_batch(settings, model, len(inputs))
    call = Call(
        model=found,
        inputs=[{**given, **item} for item in inputs],
        storage=preflight.storage_of(output, settings),
        folders=folders_of(params),
        validate=validate,
        max_wait=max_wait,
        quiet=quiet,
        as_json=as_json,
    )
    if local:
        from mulequeue.cli.local_run import run_batch_locally

        if batch_id or notify:
            raise InputError("--batch-id and --notify need workers; omit them with --local.")
        ctx.exit(run_batch_locally(call, settings))
    warnings = preflight.check_inputs(call.inputs, settings, found, validate=validate, where=file)
    preflight.check_notification(notify, settings)
    if batch_id is not None and not batch_id.strip():
        raise InputError("--batch-id is empty: every run would be billed again. Give a name.")
    ctx.exit(_run_on_workers(app, call, warnings, notify=notify, given_id=batch_id))


def _run_on_workers(
    app: Any, call: Call, warnings: list[str], *, notify: str | None, given_id: str | None
) -> int:
    """Enqueue a batch, unless it exists, and watch it; return the exit code."""
    ledger = preflight.ledger_to_write(app)
    batch_id = given_id or uuid.uuid4().hex[:12]
    known = ledger.queries.batch(batch_id) if given_id else None
    if known is not None:
        _check_same(ledger, known, call)
    preflight.print_warnings(warnings)
    started = time.monotonic()
    watched = BatchWatch(ledger, batch_id, len(call.inputs))
    with view_for(f"{call.model.name} · batch {batch_id}", quiet=call.quiet) as view:
        enqueue = partial(_enqueue, app, call, batch_id, notify, view)
        if known is None or sum(known.counts.values()) < known.size:
            enqueue()
        else:
            view.note(f"Batch {batch_id} exists; nothing is enqueued again.")
        is_over = _watch(app, ledger, call, watched, view, enqueue, started)
    summary = results.summary_of(watched.batch, time.monotonic() - started)
    missing = results.missing_files(ledger, watched.batch) if is_over else 0
    code = results.print_summary(summary, call.storage, as_json=call.as_json, missing=missing)
    if not is_over:
        print_message(f"Still running. {results.continue_hint(batch_id)}")
    return code if is_over else results.STILL_RUNNING


def _watch(
    app: Any,
    ledger: Ledger,
    call: Call,
    watched: BatchWatch,
    view: View,
    enqueue: Callable[[], None],
    started: float,
) -> bool:
    """Watch a batch; return whether it was over before ``max_wait``, which includes enqueueing."""
    batch_id, note = watched.batch.batch_id, view.note
    return watch(
        watched,
        view,
        max_wait=call.max_wait,
        started=started,
        interrupted=f"Stopped watching; the workers continue. {results.continue_hint(batch_id)}",
        checks=[
            WorkerHint(app, note, lambda: watched.has_started, name=batch_id),
            PauseHint(ledger, note),
            Resender(app, ledger, watched, enqueue=enqueue, storage=call.storage, note=note),
        ],
    )


def _check_same(ledger: Ledger, known: Batch, call: Call) -> None:
    """Raise InputError if the batch of that name was made from other prompts."""
    members = [member_id(known.batch_id, number) for number in range(known.size)]
    if known.size != len(call.inputs) or any(
        _differs(record, call) for record in results.read_records(ledger, members)
    ):
        raise InputError(
            f"Batch {known.batch_id} exists and was made from other prompts ({known.size} of them), "
            "or with another model. Give another --batch-id."
        )


def _differs(record: Record, call: Call) -> bool:
    if not record.path:
        return False  # one that was rejected at once has no path
    given = call.inputs[int(record.task_id.rpartition("-")[2])]
    prompt = " ".join(str(given.get(call.model.prompt_field, "")).split())
    # A record keeps the first characters of its prompt.
    return record.api_path != call.model.api_path or not prompt.startswith(record.label)


def _enqueue(app: Any, call: Call, batch_id: str, notify: str | None, view: View) -> None:
    """Publish the chord of a batch, and show how many members are published.

    :raises Interrupted: Ctrl-C; a part of it is enqueued.
    :raises ConfigurationError: the app has no result backend, which a chord needs.
    """
    size, published = len(call.inputs), 0

    def count(sender: Any = None, **_: Any) -> None:
        nonlocal published
        published += 1
        view.show(enqueue_progress(published, size), at_once=published == size)

    chord = generate_many(
        call.model.name,
        call.inputs,
        storage=call.storage,
        notify=notify,
        batch_id=batch_id,
        validate=call.validate,
    )
    view.show(enqueue_progress(0, size))
    signals.after_task_publish.connect(count, sender="mulequeue.generate", weak=False)
    try:
        with app.producer_or_acquire() as producer:
            chord.apply_async(producer=producer)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped with {published} of {size} enqueued; the workers run those. For the rest, "
            f"repeat the command with --batch-id {batch_id} (nothing is billed twice). To cancel: "
            f"mulequeue cancel {batch_id}"
        ) from None
    except NotImplementedError as exc:
        raise ConfigurationError(
            "A batch is a chord, and this app's result backend does not support chords; "
            "set result_backend, for example to a Redis URL."
        ) from exc
    finally:
        signals.after_task_publish.disconnect(count, sender="mulequeue.generate")
