"""``mulequeue demo``."""

from __future__ import annotations

import click

from mulequeue.cli.json_help import of_counts


@click.command("demo", epilog=of_counts())
@click.option("--count", default=12, show_default=True, metavar="N", help="How many pictures.")
@click.option("--output", default="demo-output", show_default=True, metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="One JSON object of counts on stdout.")
@click.pass_context
def demo_command(ctx: click.Context, count: int, output: str, as_json: bool) -> None:
    """See it work, without a key: a Redis, a worker and an emulator of the API on this machine.

    N prompts become a chord of generations; each is submitted, polled and downloaded, and a signed
    notification comes when all are done. The pictures and a page of them are left in DIR. Nothing
    else stays behind.
    """
    from mulequeue.local.demo import run_demo

    ctx.exit(run_demo(count, output, as_json=as_json))
