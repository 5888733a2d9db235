"""``mulequeue retry``, ``resume``, ``cancel``, ``adopt``, ``pause`` and ``unpause``."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import replace
from typing import Any

import click

from mulequeue import catalog
from mulequeue.cli import preflight, results
from mulequeue.cli.costs import ask_to_send
from mulequeue.cli.ids import find_id, known_id
from mulequeue.cli.options import complete_model, json_option, output_option
from mulequeue.cli.output import json_keys, print_json, print_message
from mulequeue.cli.render import plural
from mulequeue.errors import InputError
from mulequeue.ledger import Ledger
from mulequeue.tasks import canvases, control
from mulequeue.tasks.definitions import adopt, download
from mulequeue.tasks.retry import Retried, retry

_RETRY_KEYS = ("unpaid", "paid", "left", "usd", "unpriced", "called", "in_chord")
_TASK_JSON = f"With --json: {json_keys(['task_id'])}."
_PAUSE_JSON = f"With --json: {json_keys(['profile', 'paused', 'changed'])}; changed is false if nothing changed."
_profile_option = click.option("--profile", default="default", show_default=True, metavar="NAME")
_CANCELLED = {
    "unknown": "not known yet; will not be started when it arrives",
    "waiting": "cancelled before anything was sent",
    "submitting": "cancelled while it was submitted; it may exist and be billed",
    "generating": "cancelled; the generation continues at the API, and it is billed",
}
_OVER = dict.fromkeys(("settled", "delivering", "delivered"), "over")


@click.command("retry", epilog=f"With --json: {json_keys(_RETRY_KEYS)}; left is {{task id: why}}.")
@click.argument("names", nargs=-1, required=True, metavar="BATCH_ID|TASK_ID...")
@click.option("--failed", is_flag=True, help="Also run what failed at the API: it is billed again.")
@click.option(
    "--unknown", is_flag=True, help="Also run what may exist already: it may be billed twice."
)
@click.option("--dry-run", is_flag=True, help="Show what runs again, and its cost; change nothing.")
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Do not ask, even if something may be billed twice or its chord does not get the result.",
)
@json_option
@click.pass_context
def retry_command(
    ctx: click.Context,
    /,
    names: tuple[str, ...],
    failed: bool,
    unknown: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Run generations again that did not succeed, under their own task ids.

    Those that were refused, and not billed, run again. Those that may be billed twice run again only
    with --failed or --unknown, after their number and estimated cost were shown. Chains and batches continue. A task of
    `each` that was given up is called again.
    """
    app, ledger = _app_of(ctx)
    ids = [known_id(ledger, name) for name in names]
    plan = retry(*ids, failed=failed, unknown=unknown, dry_run=True, app=app)
    if not dry_run and (plan.task_ids or plan.called):
        _confirm_retry(plan, yes=yes)
        done = retry(*plan.task_ids, *plan.called, failed=failed, unknown=unknown, app=app)
        plan = replace(done, left={**plan.left, **done.left})
    if as_json:
        print_json({key: getattr(plan, key) for key in _RETRY_KEYS} | {"usd": float(plan.usd)})
    else:
        _print_retry(plan, ids, dry_run=dry_run)
    if not plan.task_ids and not plan.called:
        reasons = "; ".join(_left(plan)) or "No member has begun"
        raise InputError(f"There is nothing to retry. {reasons}.")


def _confirm_retry(plan: Retried, *, yes: bool) -> None:
    """Print what may be billed twice and what reaches no chord; if there is any, ask unless ``yes`` is set."""
    if not plan.paid and not plan.in_chord:
        return
    if plan.paid:
        many = plural(len(plan.paid), "generation")
        print_message(f"{many} may be billed a second time; all: {plan.cost}.")
    if plan.in_chord:
        print_message(_chord_note(plan))
    if not yes:
        ask_to_send()


def _chord_note(plan: Retried) -> str:
    many = plural(len(plan.in_chord), "generation")
    return (
        f"{many} of a chord that has received the failure: its body is not called again. The results are "
        "in the ledger (mulequeue status ID)."
    )


def _print_retry(plan: Retried, ids: list[str], *, dry_run: bool) -> None:
    verb = "would run" if dry_run else "run"
    if plan.unpaid:
        click.echo(f"{plural(len(plan.unpaid), 'generation')} {verb} again; nothing was billed.")
    if plan.paid:
        click.echo(f"{plural(len(plan.paid), 'generation')} {verb} again, perhaps billed twice.")
    if plan.in_chord and dry_run:
        click.echo(_chord_note(plan))
    if plan.called:
        again = "would be" if dry_run else "is"
        click.echo(
            f"{plural(len(plan.called), 'call')} of each {again} repeated; nothing is billed."
        )
    if not plan.task_ids:
        return
    click.echo(f"Estimated cost: {plan.cost}")
    for line in _left(plan):
        click.echo(line)
    if not dry_run:
        for name in ids:
            click.echo(results.watch_hint(name))


def _left(plan: Retried) -> list[str]:
    """Return one line for each reason why generations do not run again, with their number."""
    counts = Counter(plan.left.values())
    return [f"{count:,} left: {reason}" for reason, count in counts.items()]


@click.command("resume", epilog=_TASK_JSON)
@click.argument("task_id")
@output_option
@json_option
@click.pass_context
def resume_command(ctx: click.Context, task_id: str, output: str | None, as_json: bool) -> None:
    """Resume a generation that was cancelled, timed out, or got its remote id late.

    It gets a new task id. Nothing is submitted, and nothing is billed again.
    """
    app, ledger = _app_of(ctx)
    task_id = known_id(ledger, task_id)
    if ledger.queries.batch(task_id) is not None:
        raise InputError(
            f"{task_id} is a batch. Resume its members by their task ids: mulequeue list {task_id}"
        )
    _start(app, canvases.resume(task_id, app=app), output, as_json=as_json)


@click.command("cancel", epilog="With --json: {task id: the state it was in}.")
@click.argument("name", metavar="TASK_ID|BATCH_ID")
@click.option("--in-advance", is_flag=True, help="Accept an ID that no worker has received yet.")
@click.option(
    "--waiting",
    is_flag=True,
    help="Cancel only what was not sent; the rest is waited for and stored.",
)
@json_option
@click.pass_context
def cancel_command(
    ctx: click.Context, name: str, in_advance: bool, waiting: bool, as_json: bool
) -> None:
    """Cancel a task or a batch; what the API accepted continues.

    The API cannot cancel: a generation that was submitted continues there, and is billed.
    """
    app, ledger = _app_of(ctx)
    name = (find_id(ledger, name) or name) if in_advance else known_id(ledger, name)
    states = control.cancel(name, waiting=waiting, in_advance=in_advance, app=app)
    if as_json:
        print_json(states)
        return
    left = ("submitting", "generating") if waiting else ()
    for state, count in Counter(states.values()).items():
        text = None if state in left else _CANCELLED.get(state)
        click.echo(f"{count} {text or f'unchanged: already {_OVER.get(state, state)}'}")


@click.command("adopt", epilog=_TASK_JSON)
@click.argument("api_path", metavar="API_PATH|MODEL", shell_complete=complete_model)
@click.argument("remote_id")
@output_option
@json_option
@click.pass_context
def adopt_command(
    ctx: click.Context, api_path: str, remote_id: str, output: str | None, as_json: bool
) -> None:
    """Wait for a generation that exists at the API, and store its files. Never submits."""
    found = catalog.find(api_path)
    app, _ = _app_of(ctx)
    _start(app, adopt.s(found.api_path, remote_id), output, as_json=as_json)


def _app_of(ctx: click.Context) -> tuple[Any, Ledger]:
    """Return the app and its ledger, after a check that Redis and the broker answer."""
    app = preflight.app_of(ctx)
    return app, preflight.ledger_to_write(app)


def _start(app: Any, signature: Any, output: str | None, *, as_json: bool) -> None:
    """Enqueue a signature and the download after it, and print the task id."""
    task_id = str(uuid.uuid4())
    storage = preflight.storage_of(output, preflight.settings_of(app))
    (signature.set(task_id=task_id) | download.s(storage=storage)).apply_async()
    if as_json:
        print_json({"task_id": task_id})
        return
    click.echo(f"Enqueued as task {task_id}. {results.watch_hint(task_id)}")


@click.command("pause", epilog=_PAUSE_JSON)
@_profile_option
@json_option
@click.pass_context
def pause_command(ctx: click.Context, profile: str, as_json: bool) -> None:
    """Pause the submissions of a profile on the whole fleet, until `mulequeue unpause`.

    New generations wait, and waiting ones keep their place. Those that were submitted are still
    polled, downloaded and returned.
    """
    changed = _set_paused(ctx, profile, paused=True, as_json=as_json)
    if not as_json:
        already = "" if changed else " already"
        click.echo(
            f"Submissions of profile {profile} are{already} paused.\n"
            "Generations that were submitted continue. To resume:\n"
            f"  mulequeue unpause --profile {profile}"
        )


@click.command("unpause", epilog=_PAUSE_JSON)
@_profile_option
@json_option
@click.pass_context
def unpause_command(ctx: click.Context, profile: str, as_json: bool) -> None:
    """Let workers submit again: end every pause of a profile."""
    changed = _set_paused(ctx, profile, paused=False, as_json=as_json)
    if not as_json:
        text = "are resumed" if changed else "were not paused"
        click.echo(f"Submissions of profile {profile} {text}.")


def _set_paused(ctx: click.Context, profile: str, *, paused: bool, as_json: bool) -> bool:
    """Pause or resume the submissions of a profile; return whether that changed anything."""
    app, _ = _app_of(ctx)
    changed = (control.pause if paused else control.unpause)(profile, app=app)
    if as_json:
        print_json({"profile": profile, "paused": paused, "changed": changed})
    return changed
