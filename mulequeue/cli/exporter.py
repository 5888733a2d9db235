"""``mulequeue exporter``."""

from __future__ import annotations

import signal
from importlib.util import find_spec
from threading import Event

import click

from mulequeue.cli.options import host_and_port
from mulequeue.cli.preflight import app_of, ledger_to_read, settings_of


@click.command("exporter")
@host_and_port(8789)
@click.pass_context
def exporter_command(ctx: click.Context, host: str, port: int) -> None:
    """Serve the fleet's metrics to Prometheus on /metrics.

    One exporter per fleet is enough: it reads the ledger, which all processes write to. It needs no
    API key.
    """
    if find_spec("prometheus_client") is None:
        raise click.ClickException(
            'The exporter needs prometheus_client: pip install "mulequeue[metrics]"'
        )
    from mulequeue.ops.health.workers import required_queues
    from mulequeue.ops.metrics_server import queue_depths, start

    app = app_of(ctx)
    settings = settings_of(app)
    ledger = ledger_to_read(settings)
    queues = required_queues(app, settings).values()
    try:
        bound, stop = start(ledger, host, port, queue_depths(app, queues))
    except OSError as exc:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {exc.strerror}.") from None
    done = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    click.echo(f"mulequeue exporter on http://{host}:{bound}/metrics")
    done.wait()
    stop()
