"""``mulequeue doctor``, ``exporter`` and ``webhooks``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from threading import Event

import click

from mulequeue.cli.options import Command, json_option
from mulequeue.cli.preflight import app_of, check_redis, ledger_to_read, name_of, settings_of


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


_host_option = click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
)


def _port_option(default: int) -> Callable[[Command], Command]:
    text = "Port to listen on; 0 picks a free port."
    return click.option("--port", default=default, show_default=True, help=text)


@contextmanager
def _listening(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {exc.strerror}.") from None


@click.command("exporter")
@_host_option
@_port_option(8789)
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
    from mulequeue.ops.health.workers import queue_depths
    from mulequeue.ops.prometheus_collector import serve_metrics

    app = app_of(ctx)
    settings = settings_of(app)
    ledger = ledger_to_read(settings)
    with _listening(host, port):
        bound, stop = serve_metrics(ledger, host, port, queue_depths(app, settings))
    done = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    click.echo(f"mulequeue exporter on http://{host}:{bound}/metrics")
    done.wait()
    stop()


@click.command("webhooks")
@_host_option
@_port_option(8788)
@click.option("--path", default=None, help="Path of the endpoint.  [default: /webhooks/mulerouter]")
@click.pass_context
def webhooks_command(ctx: click.Context, host: str, port: int, path: str | None) -> None:
    """Receive MuleRouter's webhooks without a web application.

    MuleRouter sends webhooks to HTTPS addresses only: run this behind your TLS endpoint. Set
    MULEQUEUE_WEBHOOK_SECRET to the secret that MuleRouter's console showed.
    """
    from mulequeue.ops.webhook_server import DEFAULT_PATH, run

    app = app_of(ctx)
    check_redis(settings_of(app).redis_url)
    with _listening(host, port):
        run(host, port, path or DEFAULT_PATH, app=app)
