"""``mulequeue dev``."""

from __future__ import annotations

import click

from mulequeue.cli.app import app_of, name_of, settings_of


@click.command("dev")
@click.option("--concurrency", default=4, show_default=True, metavar="N", help="Worker slots.")
@click.pass_context
def dev_command(ctx: click.Context, concurrency: int) -> None:
    """Run a fleet in the foreground: a worker and a poller; a Redis if none answers; an emulator of
    the API if there is no key.

    A Redis it starts keeps its data in .mulequeue/, so what was under way goes on at the next start.
    Ctrl-C stops everything.
    """
    from mulequeue.local.dev import run_dev

    app = app_of(ctx)
    ctx.exit(run_dev(settings_of(app), name_of(app), concurrency))
