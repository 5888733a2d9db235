"""``mulequeue resume``, ``cancel``, ``adopt``, ``pause`` and ``unpause``."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

import click

from mulequeue import catalog
from mulequeue.cli import preflight, results
from mulequeue.cli.ids import find_id, known_id
from mulequeue.cli.options import complete_model, json_option, output_option
from mulequeue.cli.output import json_keys, print_json
from mulequeue.errors import InputError
from mulequeue.ledger import Ledger

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


@click.command("resume", epilog=_TASK_JSON)
@click.argument("task_id")
@output_option
@json_option
@click.pass_context
def resume_command(ctx: click.Context, task_id: str, output: str | None, as_json: bool) -> None:
    """Resume a generation that was cancelled, timed out, or got its remote id late.

    It gets a new task id. Nothing is submitted, and nothing is billed again.
    """
    from mulequeue.tasks import canvases

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
    from mulequeue.tasks import control

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
    from mulequeue.tasks.definitions import adopt

    found = catalog.find(api_path)
    app, _ = _app_of(ctx)
    _start(app, adopt.s(found.api_path, remote_id), output, as_json=as_json)


def _app_of(ctx: click.Context) -> tuple[Any, Ledger]:
    """Return the app and its ledger, once Redis and the broker answer."""
    app = preflight.app_of(ctx)
    return app, preflight.ledger_to_write(app)


def _start(app: Any, signature: Any, output: str | None, *, as_json: bool) -> None:
    """Enqueue a signature and the download after it, and print the task id."""
    from mulequeue.tasks.definitions import download

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
    """Pause or resume a profile; return whether that changed anything."""
    from mulequeue.tasks import control

    app, _ = _app_of(ctx)
    changed = (control.pause if paused else control.unpause)(profile, app=app)
    if as_json:
        print_json({"profile": profile, "paused": paused, "changed": changed})
    return changed
