"""``mulequeue webhooks``."""

from __future__ import annotations

import click

from mulequeue.cli.app import app_of, check_redis, settings_of


@click.command("webhooks")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8788, show_default=True, help="Port; 0: a free one.")
@click.option("--path", default=None, help="Path of the endpoint.  [default: /webhooks/mulerouter]")
@click.pass_context
def webhooks_command(ctx: click.Context, host: str, port: int, path: str | None) -> None:
    """Take MuleRouter's webhooks, for those without a web application.

    MuleRouter sends to an HTTPS address only: put it behind the TLS endpoint you have. The secret
    is the one its console showed (MULEQUEUE_WEBHOOK_SECRET).
    """
    from mulequeue.ops.webhook_server import DEFAULT_PATH, run

    app = app_of(ctx)
    check_redis(settings_of(app).redis_url)
    try:
        run(host, port, path or DEFAULT_PATH, app=app)
    except OSError as exc:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {exc.strerror}.") from None
