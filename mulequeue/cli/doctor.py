"""``mulequeue doctor``."""

from __future__ import annotations

import click

from mulequeue.cli.options import json_option
from mulequeue.cli.preflight import app_of, name_of


@click.command(
    "doctor", epilog='With --json: {"ok", "findings": [{"id", "level", "text", "fix"}]}.'
)
@json_option
@click.pass_context
def doctor_command(ctx: click.Context, as_json: bool) -> None:
    """Check the fleet, and print how to fix each problem.

    Checks Redis and its persistence, workers and their queues, clocks, the key, the storage,
    Celery's settings, and overdue or stuck generations. Nothing is billed, and nothing is changed.

    Exit code: 1 if there is an error; 0 if there are warnings only, or nothing is wrong.
    """
    from mulequeue.ops.health.report import print_report

    app = app_of(ctx)
    ctx.exit(print_report(app, command=f"celery -A {name_of(app)} worker", as_json=as_json))
