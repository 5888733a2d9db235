"""``mulequeue webhooks``."""

from __future__ import annotations

import click

from mulequeue.cli.options import host_and_port
from mulequeue.cli.preflight import app_of, check_redis, settings_of


@click.command("webhooks")
@host_and_port(8788)
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
    try:
        run(host, port, path or DEFAULT_PATH, app=app)
    except OSError as exc:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {exc.strerror}.") from None
