"""``mulequeue status``: the fleet, a task, a batch, or a generation at the API."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import click

from mulequeue.cli.batch import how_to_go_on, tell
from mulequeue.cli.checks import check_number
from mulequeue.cli.errors import Stopped
from mulequeue.cli.fleet import app_of, check_redis, settings_of
from mulequeue.cli.outcomes import reason, status_line
from mulequeue.cli.progress import WORDS, failure_line, progress_line
from mulequeue.cli.task_watch import TaskWatch
from mulequeue.cli.view import echo_json, view_for
from mulequeue.cli.watching import BatchWatch, summary_of, watch
from mulequeue.errors import InputError
from mulequeue.ledger import Batch, Ledger, Record, outcome_of


@click.command("status")
@click.argument("names", nargs=-1, metavar="[ID | BATCH_ID | API_PATH REMOTE_ID]")
@click.option("--wait", is_flag=True, help="Wait until it is over.")
@click.option("--follow", is_flag=True, help="As --wait, and tell every change.")
@click.option("--poll-interval", type=float, metavar="S", help="Seconds between checks of the API.")
@click.option("--max-wait", type=float, metavar="S", help="Stop waiting after so many seconds.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def status_command(
    ctx: click.Context,
    names: tuple[str, ...],
    wait: bool,
    follow: bool,
    poll_interval: float | None,
    max_wait: float | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show how things stand: the fleet, a task, a batch, or a generation at the API.

    API_PATH REMOTE_ID asks the API itself and needs a key, but neither Redis nor workers; API_PATH
    may also be a model's name. What still runs exits with 0; with --wait the exit code is that of
    `run` and `batch`.
    """
    check_number("--max-wait", max_wait)
    check_number("--poll-interval", poll_interval)
    app = app_of(ctx)
    settings = settings_of(app)
    if len(names) == 2:
        ctx.exit(_at_the_api(settings, *names, wait or follow, poll_interval, max_wait, as_json))
    if len(names) > 2:
        raise InputError("status takes nothing, one id, or API_PATH REMOTE_ID.")
    check_redis(settings.redis_url)
    ledger = Ledger.of(settings)
    if not names:
        _fleet(ledger, settings.fleet, as_json=as_json)
        return
    batch = ledger.batch(names[0])
    if batch is not None:
        ctx.exit(_batch(ledger, batch, wait or follow, max_wait, quiet=quiet, as_json=as_json))
    ctx.exit(_task(ledger, names[0], wait or follow, max_wait, quiet=quiet, as_json=as_json))


def _at_the_api(
    settings: Any,
    path: str,
    remote_id: str,
    wait: bool,
    poll_interval: float | None,
    max_wait: float | None,
    as_json: bool,
) -> int:
    from mulequeue.cli.local_run import snapshot, wait_for
    from mulequeue.plan import make_plan

    plan = make_plan(
        settings, path, {}, poll_interval=poll_interval, max_wait=max_wait, submits=False
    )
    if wait:
        return wait_for(plan, settings, remote_id, as_json=as_json)
    return snapshot(plan, settings, remote_id, as_json=as_json, say=click.echo)


def _fleet(ledger: Ledger, name: str, *, as_json: bool) -> None:
    counts = ledger.counts()
    size, first = ledger.overdue()
    late = max(0.0, ledger.now() - first) if first is not None else 0.0
    if as_json:
        echo_json({"fleet": name, "counts": counts, "due": size, "overdue_seconds": round(late, 1)})
        return
    click.echo(f"fleet {name}")
    for word in ("waiting", "submitting", "generating"):
        click.echo(f"  {word:<11}{counts.get(word, 0):>8}")
    click.echo("since the ledger began")
    for word in ("succeeded", "failed", "timed_out", "submit_unknown", "cancelled", "files"):
        click.echo(f"  {WORDS.get(word, word):<11}{counts.get(word, 0):>8}")
    if late > 10:
        click.echo(
            f"The first of {size} is {late:.0f} s overdue: no worker takes the poll queue. "
            "Start one: celery -A mulequeue worker"
        )


def _batch(
    ledger: Ledger,
    batch: Batch,
    wait: bool,
    max_wait: float | None,
    *,
    quiet: bool,
    as_json: bool,
) -> int:
    watched = BatchWatch(ledger, batch.batch_id, batch.size)
    is_over, age = True, ledger.now() - batch.created
    if wait:
        started = time.monotonic() - age
        with view_for(f"batch {batch.batch_id}", quiet=quiet, started=started) as view:
            try:
                is_over = watch(watched, view, max_wait=max_wait, with_files=False)
            except KeyboardInterrupt:
                raise Stopped(how_to_go_on(batch.batch_id)) from None
        age = ledger.now() - batch.created
    else:
        watched.look()
    summary = summary_of(watched.batch, age)
    if as_json or wait:
        tell(summary, None, as_json=as_json)
    else:
        click.echo(progress_line(watched.batch))
        for record in watched.failures(now=True)[:20]:
            click.echo(failure_line(record))
    if not is_over:
        return 2
    is_running = watched.batch.over < watched.batch.size
    return 0 if is_running or summary.succeeded == summary.submitted else 1


def _task(
    ledger: Ledger, task_id: str, wait: bool, max_wait: float | None, *, quiet: bool, as_json: bool
) -> int:
    task_id = task_id if ledger.record(task_id) else ledger.task_of(task_id) or task_id
    say = None if quiet or not wait else lambda text: click.echo(text, err=True)
    watched = TaskWatch(ledger, task_id, say=say)
    over = watched.look()
    record = watched.record
    if record is None:
        raise InputError(
            f"The ledger knows no task, batch or remote id {task_id}. Records are kept 7 days "
            "(mulequeue_record_ttl_seconds). At the API: mulequeue status API_PATH REMOTE_ID"
        )
    gives_up = None if max_wait is None else time.monotonic() + max_wait
    try:
        while wait and not over:
            if gives_up is not None and time.monotonic() >= gives_up:
                click.echo(f"Still running. Look again: {status_line(task_id)}", err=True)
                return 2
            time.sleep(0.25)
            over = watched.look()
    except KeyboardInterrupt:
        raise Stopped(f"Stopped watching. Look again: {status_line(task_id)}") from None
    assert watched.record is not None
    _tell_record(watched.record, as_json=as_json)
    return 0 if watched.record.status in (None, "succeeded") else 1


def _tell_record(record: Record, *, as_json: bool) -> None:
    if as_json:
        echo_json(outcome_of(record).to_dict() if record.is_over else _under_way(record))
        return
    for name, value in _rows(record):
        if value not in (None, ""):
            click.echo(f"{name:<10} {value}")
    if record.is_over:
        outcome = outcome_of(record)
        if not outcome.succeeded:
            click.echo(f"{'because':<10} {reason(outcome)}")
        for item in outcome.files or outcome.assets:
            click.echo(f"{'file':<10} {item.url}")


def _rows(record: Record) -> list[tuple[str, Any]]:
    return [
        ("task", record.task_id),
        ("status", WORDS.get(record.status or record.state, record.status or record.state)),
        ("model", record.model),
        ("prompt", record.label),
        ("batch", record.batch),
        ("path", record.api_path if record.path else None),
        ("remote id", record.remote_id),
        ("late id", record.late_remote_id),
        ("submitted", _time(record.submitted)),
        ("finished", _time(record.finished)),
        ("checks", record.polls),
    ]


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
