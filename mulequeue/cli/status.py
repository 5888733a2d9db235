"""``mulequeue status``: the fleet, a task, a batch, or a generation at the API."""

from __future__ import annotations

from typing import Any

import click

from mulequeue.cli.app import app_of, check_redis, settings_of
from mulequeue.cli.batch_status import print_batch
from mulequeue.cli.fleet_status import print_fleet
from mulequeue.cli.json_help import of_status
from mulequeue.cli.preflight import check_number
from mulequeue.cli.task_status import print_task
from mulequeue.cli.watch_options import WatchOptions
from mulequeue.errors import InputError
from mulequeue.ledger import Ledger


@click.command("status", epilog=of_status())
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

    Without an id it is the fleet: --wait ends when nothing is under way, --follow with Ctrl-C.

    API_PATH REMOTE_ID asks the API itself and needs a key, but neither Redis nor workers; API_PATH
    may also be a model's name. What still runs exits with 0; with --wait the exit code is that of
    `run` and `batch`.
    """
    check_number("--max-wait", max_wait)
    check_number("--poll-interval", poll_interval)
    settings = settings_of(app_of(ctx))
    how = WatchOptions(wait=wait, follow=follow, max_wait=max_wait, quiet=quiet, as_json=as_json)
    if len(names) == 2:
        ctx.exit(_at_the_api(settings, *names, how, poll_interval))
    if len(names) > 2:
        raise InputError("status takes nothing, one id, or API_PATH REMOTE_ID.")
    check_redis(settings.redis_url)
    ledger = Ledger.of(settings)
    if not names:
        ctx.exit(print_fleet(ledger, settings, how))
    batch = ledger.queries.batch(names[0])
    ctx.exit(
        print_task(ledger, names[0], how) if batch is None else print_batch(ledger, batch, how)
    )


def _at_the_api(
    settings: Any, path: str, remote_id: str, how: WatchOptions, poll_interval: float | None
) -> int:
    from mulequeue.cli.local_run import snapshot, wait_for
    from mulequeue.engine.generation_request import make_generation_request

    plan = make_generation_request(
        settings, path, {}, poll_interval=poll_interval, max_wait=how.max_wait, submits=False
    )
    if how.is_waiting:
        return wait_for(plan, settings, remote_id, as_json=how.as_json)
    return snapshot(plan, settings, remote_id, as_json=how.as_json, print_message=click.echo)
