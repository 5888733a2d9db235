"""``mulequeue demo``."""

from __future__ import annotations

import click

from mulequeue.cli.options import json_option
from mulequeue.cli.results import SUMMARY_HELP


@click.command("demo", epilog=SUMMARY_HELP)
@click.option("--count", default=12, show_default=True, metavar="N", help="Number of images.")
@click.option(
    "--output", default="demo-output", show_default=True, metavar="DIR", help="Output folder."
)
@json_option
@click.pass_context
def demo_command(ctx: click.Context, count: int, output: str, as_json: bool) -> None:
    """Run a complete fleet on this machine, without a key: Redis, worker and an emulated API.

    N prompts become a batch of generations. Each is submitted, polled and downloaded, and a signed
    notification follows when all are done. The images and a page that shows them stay in DIR;
    everything else is removed.
    """
    from mulequeue.local.demo import run_demo

    ctx.exit(run_demo(count, output, as_json=as_json))
