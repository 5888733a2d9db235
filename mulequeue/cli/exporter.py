"""``mulequeue exporter``."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from importlib.util import find_spec
from threading import Event
from typing import Any

import click

from mulequeue.cli.app import app_of, check_redis, settings_of


@click.command("exporter")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8789, show_default=True, help="Port; 0: a free one.")
@click.pass_context
def exporter_command(ctx: click.Context, host: str, port: int) -> None:
    """Show the fleet's numbers to Prometheus, on /metrics.

    One of them is enough for a fleet: it reads the ledger, whoever wrote to it. It needs no API key.
    """
    if find_spec("prometheus_client") is None:
        raise click.ClickException(
            'The exporter needs prometheus_client: pip install "mulequeue[metrics]"'
        )
    from mulequeue.ledger import Ledger
    from mulequeue.ops.metrics_server import queue_depths, start

    app = app_of(ctx)
    settings = settings_of(app)
    check_redis(settings.redis_url)
    queues = dict.fromkeys([*_queues_of(app), settings.poll_queue, settings.wake_queue])
    try:
        bound, stop = start(Ledger.of(settings), host, port, queue_depths(app, queues))
    except OSError as exc:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {exc.strerror}.") from None
    done = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    click.echo(f"mulequeue exporter on http://{host}:{bound}/metrics")
    done.wait()
    stop()


def _queues_of(app: Any) -> Iterator[str]:
    """Where the project's routing sends what users enqueue."""
    for task in ("generate", "download", "notify"):
        queue = app.amqp.router.route({}, f"mulequeue.{task}").get("queue")
        if queue is not None:
            yield getattr(queue, "name", queue)
