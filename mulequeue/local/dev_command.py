"""``mulequeue dev``."""

from __future__ import annotations

import click

from mulequeue.cli.preflight import app_of, name_of, settings_of


@click.command("dev")
@click.option("--concurrency", default=4, show_default=True, metavar="N", help="Worker slots.")
@click.pass_context
def dev_command(ctx: click.Context, concurrency: int) -> None:
    """Run a worker and a poller in the foreground, with a Redis and an emulated API if needed.

    It starts a Redis if none answers, and the emulator if there is no API key. That Redis keeps its
    data in .mulequeue/, so generations continue at the next start. Ctrl-C stops everything.
    """
    from mulequeue.local.dev import run_dev

    app = app_of(ctx)
    ctx.exit(run_dev(settings_of(app), name_of(app), concurrency))
