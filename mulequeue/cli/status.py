"""``mulequeue status``: the fleet, a task, a batch, or a generation at the API."""

from __future__ import annotations

from typing import Any

import click

from mulequeue.cli import preflight, results
from mulequeue.cli.exits import STILL_RUNNING
from mulequeue.cli.ids import known_id
from mulequeue.cli.options import json_option, max_wait_option, poll_interval_option, quiet_option
from mulequeue.cli.output import json_keys
from mulequeue.cli.status_batch import show_batch
from mulequeue.cli.status_task import RUNNING_KEYS, show_task
from mulequeue.cli.view import view_for
from mulequeue.cli.watch import Arrival, WatchOptions, watch
from mulequeue.cli.watch_checks import Unreceived, WorkerHint
from mulequeue.errors import InputError
from mulequeue.ledger import Ledger

_FLEET_KEYS = ("fleet", "counts", "due", "overdue_seconds", "profiles", "learned", "queues")
_JSON_HELP = (
    f"With --json: for the fleet {json_keys(_FLEET_KEYS)}; for a batch {results.SUMMARY_JSON}; for a "
    "generation that is finished: the outcome, as with `run`, its fair_key and its timeline; otherwise "
    f"{json_keys((*RUNNING_KEYS, 'timeline'))}."
)


@click.command("status", epilog=_JSON_HELP)
@click.argument("names", nargs=-1, metavar="[ID | BATCH_ID | API_PATH REMOTE_ID]")
@click.option("--wait", is_flag=True, help="Wait until it is over.")
@click.option("--follow", is_flag=True, help="Like --wait, and print every change.")
@poll_interval_option
@max_wait_option
@quiet_option
@json_option
@click.pass_context
def status_command(ctx: click.Context, /, names: tuple[str, ...], **given: Any) -> None:
    """Show the fleet, a task, a batch, or a generation at the API.

    Without an id it shows the fleet: --wait ends when nothing is in progress, --follow with Ctrl-C.

    API_PATH REMOTE_ID asks the API itself and needs a key, but neither Redis nor workers; API_PATH
    may also be a model's name. A snapshot of something that still runs exits with 0; with --wait the
    exit codes are those of `run` and `batch`.
    """
    app = preflight.app_of(ctx)
    settings = preflight.settings_of(app)
    options = WatchOptions(**given)
    if len(names) > 2:
        raise InputError("status takes nothing, one id, or API_PATH REMOTE_ID.")
    if len(names) == 2:
        from mulequeue.cli.local_run import show_remote

        ctx.exit(show_remote(settings, *names, options))
    ledger = preflight.ledger_to_read(settings)
    if not names:
        from mulequeue.cli.status_fleet import show_fleet

        ctx.exit(show_fleet(app, ledger, settings, options))
    name = known_id(ledger, names[0])
    if options.is_waiting and not _has_arrived(app, ledger, name, options):
        ctx.exit(STILL_RUNNING)
    batch = ledger.queries.batch(name)
    if batch is None:
        ctx.exit(show_task(ledger, settings, name, options))
    ctx.exit(show_batch(ledger, batch, options))


def _has_arrived(app: Any, ledger: Ledger, name: str, options: WatchOptions) -> bool:
    """Wait until a worker has received a task or batch. Return False if none has within ``max_wait``."""
    arrival = Arrival(ledger, name)
    if arrival.refresh():
        return True
    with view_for(name, quiet=options.quiet, line_seconds=0) as view:
        return watch(
            arrival,
            view,
            max_wait=options.max_wait,
            interrupted=f"Stopped watching. {results.watch_hint(name)}",
            checks=[WorkerHint(app, view.note, arrival), Unreceived(name, view.note)],
        )
