"""``mulequeue batch``."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import click

from mulequeue import catalog
from mulequeue.catalog.validation.calls import MODES
from mulequeue.cli.app import app_of, ledger_of, settings_of
from mulequeue.cli.batch_view import echo_json, view_for
from mulequeue.cli.batch_watch import (
    BatchWatch,
    Summary,
    missing_files,
    records_of,
    summary_of,
    watch,
)
from mulequeue.cli.completion import models
from mulequeue.cli.enqueue import enqueue
from mulequeue.cli.error_line import Interrupted
from mulequeue.cli.json_help import of_counts
from mulequeue.cli.options import EXTRA_HELP, VALIDATE_HELP, extras, folders_of
from mulequeue.cli.output import print_message
from mulequeue.cli.pause_hint import PauseHint
from mulequeue.cli.preflight import (
    check_inputs,
    check_notification,
    check_number,
    print_warnings,
    storage_of,
)
from mulequeue.cli.prompts import read_inputs
from mulequeue.cli.resend import Resender
from mulequeue.cli.worker_hint import WorkerHint
from mulequeue.errors import InputError
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.settings.budgets import check_batch
from mulequeue.tasks.canvases import member_id

_MODEL_HELP = "Name or /vendors/… path."
DEFAULT_MODEL = "alibaba/wan2.6-t2i"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A batch as it was typed, checked."""

    model: catalog.Model
    inputs: list[dict[str, Any]]
    storage: str
    notify: str | None = None
    batch_id: str | None = None
    max_wait: float | None = None
    quiet: bool = False
    as_json: bool = False
    validate: str | None = None
    warnings: list[str] = field(default_factory=list)


@click.command("batch", epilog=of_counts())
@click.argument("file", type=click.Path(allow_dash=True))
@click.option(
    "--model", default=DEFAULT_MODEL, show_default=True, help=_MODEL_HELP, shell_complete=models
)
@click.option("--column", metavar="NAME", help="Column of a table.  [default: prompt]")
@click.option("--output", metavar="DIR", help="Folder or URL for the files.")
@click.option("--max-wait", type=float, metavar="S", help="Stop watching after so many seconds.")
@click.option("--extra", multiple=True, metavar="KEY=VALUE", help=EXTRA_HELP)
@click.option("--notify", metavar="URL", help="Tell this URL, signed, when all are done.")
@click.option("--batch-id", metavar="ID", help="Name it; the same name again is paid once.")
@click.option("--validate", type=click.Choice(MODES), help=VALIDATE_HELP)
@click.option("--local", is_flag=True, help="Without workers and Redis: wait in this process.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object of counts on stdout.")
@click.pass_context
def batch_command(
    ctx: click.Context,
    file: str,
    model: str,
    column: str | None,
    output: str | None,
    max_wait: float | None,
    extra: tuple[str, ...],
    notify: str | None,
    batch_id: str | None,
    validate: str | None,
    local: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make a generation of every prompt in FILE and store what comes of them.

    FILE is TSV (unquoted) or CSV with a header, JSONL of input objects or texts, or one prompt a
    line; `-` is standard input. --extra is added to every input that does not say it itself.

    The generations run on the workers and go on there if this command ends. Exit code: 0 all
    succeeded and are stored, 1 something failed or is unknown, 2 still running at --max-wait.
    """
    found = catalog.find(model)
    check_number("--max-wait", max_wait)
    given = extras(extra)
    inputs = read_inputs(file, column=column, prompt_field=found.prompt_field)
    if given:
        inputs = [{**given, **item} for item in inputs]
    app = app_of(ctx)
    settings = settings_of(app)
    check_batch(settings, model, len(inputs))
    job = Job(
        model=found,
        inputs=inputs,
        storage=storage_of(output, settings),
        notify=notify,
        batch_id=batch_id,
        max_wait=max_wait,
        quiet=quiet,
        as_json=as_json,
        validate=validate,
    )
    if local:
        from mulequeue.cli.local_batch import run_batch

        ctx.exit(run_batch(job, settings, folders_of(extra)))
    check_inputs(inputs, settings, found, warnings=job.warnings, validate=validate, where=file)
    check_notification(notify, settings)
    ctx.exit(run_on_workers(app, job))


def run_on_workers(app: Any, job: Job) -> int:
    """Enqueue a batch (or find it there) and watch it to its end; the exit code."""
    if job.batch_id is not None and not job.batch_id.strip():
        raise InputError("--batch-id is empty: run again, this would be paid again. Give a name.")
    ledger = ledger_of(app)
    batch_id = job.batch_id or uuid.uuid4().hex[:12]
    known = ledger.queries.batch(batch_id) if job.batch_id else None
    if known is not None:
        check_same(ledger, known, job)
    print_warnings(job.warnings)
    watched = BatchWatch(ledger, batch_id, len(job.inputs))
    started = time.monotonic()
    with view_for(f"{job.model.name} · batch {batch_id}", quiet=job.quiet) as view:
        if known is None or sum(known.counts.values()) < known.size:
            enqueue(app, job, batch_id, view.enqueued)
        else:
            view.note(f"Batch {batch_id} exists; nothing is enqueued again.")
        try:
            left = None if job.max_wait is None else job.max_wait - (time.monotonic() - started)
            hint = WorkerHint(
                app, view.note, lambda: watched.moved, local=warn_without_batch(batch_id)
            )
            resending = Resender(
                app,
                ledger,
                watched,
                enqueue=lambda: enqueue(app, job, batch_id, view.enqueued),
                storage=job.storage,
                note=view.note,
            )
            hints = [hint, PauseHint(ledger, view.note), resending]
            is_over = watch(watched, view, max_wait=left, each_look=hints)
        except KeyboardInterrupt:
            raise Interrupted(resume_hint(batch_id)) from None
    summary = summary_of(watched.batch, time.monotonic() - started)
    return report(ledger, watched.batch, summary, job, is_over=is_over)


def check_same(ledger: Ledger, known: Batch, job: Job) -> None:
    """Raise InputError when a batch of that name was made of something else."""
    is_other = known.size != len(job.inputs) or any(
        _is_other(record, job)
        for record in records_of(ledger, [member_id(known.batch_id, n) for n in range(known.size)])
    )
    if is_other:
        raise InputError(
            f"Batch {known.batch_id} exists and was made of other prompts ({known.size} of them), or "
            "by another model. Give another --batch-id."
        )


def _is_other(record: Record, job: Job) -> bool:
    given = job.inputs[int(record.task_id.rpartition("-")[2])]
    prompt = " ".join(str(given.get(job.model.prompt_field, "")).split())
    # A record keeps the start of its prompt.
    is_known = bool(record.path)  # one that was refused at once has none
    return is_known and (
        record.api_path != job.model.api_path or not prompt.startswith(record.label)
    )


def warn_without_batch(name: str) -> str:
    """How to do without workers; what is enqueued must go first, or it would be paid as well."""
    return f"Or cancel this (mulequeue cancel {name}) and do without workers: --local."


def resume_hint(batch_id: str) -> str:
    return (
        "Stopped watching; the batch goes on in the workers. Look again, or end it:\n"
        f"  mulequeue status {batch_id} --wait\n"
        f"  mulequeue cancel {batch_id}"
    )


def report(ledger: Ledger, batch: Batch, summary: Summary, job: Job, *, is_over: bool) -> int:
    """Say what came of it; the exit code."""
    missing = missing_files(ledger, batch) if is_over else 0
    print_summary(summary, job.storage, as_json=job.as_json, missing=missing)
    if not is_over:
        print_message(f"Still running. {resume_hint(batch.batch_id)}")
        return 2
    return 0 if summary.succeeded == summary.submitted and not missing else 1


def print_summary(
    summary: Summary, storage: str | None, *, as_json: bool, missing: int = 0
) -> None:
    """The result on standard output."""
    if missing:
        print_message(f"{missing} file(s) could not be stored; the worker's log says why.")
    if as_json:
        echo_json(summary.to_dict())
        return
    words = {
        "failed": summary.failed,
        "timed out": summary.timed_out,
        "unknown": summary.submit_unknown,
        "cancelled": summary.cancelled,
    }
    others = "".join(f", {count} {word}" for word, count in words.items() if count)
    name = f" (batch {summary.batch_id})" if summary.batch_id else ""
    click.echo(
        f"{summary.succeeded} of {summary.submitted} succeeded{others} "
        f"in {summary.seconds:.1f} s{name}"
    )
    if summary.files:
        where = f" in {storage}" if storage else " stored"
        click.echo(f"{summary.files} file{'' if summary.files == 1 else 's'}{where}")
