"""A small webhook server for projects without a web application.

The API sends webhooks to https URLs only, so the server needs a proxy in front that terminates TLS.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from aiohttp import web

from mulequeue.engine.webhook_handler import MAX_BODY_BYTES, handle
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import ConfigurationError

DEFAULT_PATH = "/webhooks/mulerouter"


def make_server(path: str = DEFAULT_PATH, *, app: Any = None) -> web.Application:
    """Make the aiohttp application: POST to ``path`` receives a webhook, GET answers ``ready``."""

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()  # aiohttp itself answers 413 above client_max_size
        reply = await asyncio.to_thread(handle, request.headers, body, app=app)
        return web.Response(status=reply.status_code, text=reply.text)

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ready")

    server = web.Application(client_max_size=MAX_BODY_BYTES)
    server.add_routes([web.post(path, receive), web.get(path, ready)])
    return server


async def serve(
    host: str = "127.0.0.1", port: int = 8788, path: str = DEFAULT_PATH, *, app: Any = None
) -> None:
    """Serve until SIGINT or SIGTERM. Print the URL once the server listens.

    :param port: 0: a free port.
    :raises OSError: the port is in use.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(make_server(path, app=app), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        print(f"mulequeue webhooks on http://{host}:{runner.addresses[0][1]}{path}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


def run(
    host: str = "127.0.0.1", port: int = 8788, path: str = DEFAULT_PATH, *, app: Any = None
) -> None:
    """Serve webhooks until SIGINT or SIGTERM; block until then.

    :raises OSError: the port is in use.
    :raises ConfigurationError: mulequeue's settings are invalid, or ``mulequeue_webhook_secret`` is not set.
    """
    if not worker_context(app).settings.webhook_secret:
        raise ConfigurationError(
            "Webhooks need the secret that MuleRouter's console showed when the endpoint was created. "
            "Set mulequeue_webhook_secret, or MULEQUEUE_WEBHOOK_SECRET."
        )
    asyncio.run(serve(host, port, path, app=app))
