"""``mulequeue dev``."""

from __future__ import annotations

import click

from mulequeue.cli.preflight import app_of, name_of, settings_of


@click.command("dev")
@click.option("--concurrency", default=4, show_default=True, metavar="N", help="Worker slots.")
@click.option(
    "--redis",
    metavar="URL",
    help="Use this Redis.  [default: MULEQUEUE_REDIS_URL or the project's, else a new one]",
)
@click.pass_context
def dev_command(ctx: click.Context, concurrency: int, redis: str | None) -> None:
    """Run a worker and a poller in the foreground, with a Redis and an emulated API if needed.

    Unless a Redis is configured it starts one that keeps its data in .mulequeue/, so generations
    continue at the next start. A Redis that another project uses is refused. Without an API key it
    starts the emulator. Ctrl-C stops everything.
    """
    from mulequeue.local.dev import run_dev

    app = app_of(ctx)
    ctx.exit(run_dev(settings_of(app), app, name_of(app), concurrency, redis))
