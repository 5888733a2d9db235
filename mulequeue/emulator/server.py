"""The two listeners of the emulator, API and asset host, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable

from aiohttp.web import BaseRequest, Server, ServerRunner, StreamResponse, TCPSite

from mulequeue.emulator.asset_host import Assets
from mulequeue.emulator.control import PREFIX, Control
from mulequeue.emulator.faults import Faults
from mulequeue.emulator.gateway import Api
from mulequeue.emulator.media import Media
from mulequeue.emulator.state import State

_EVERY_ADDRESS = "0.0.0.0"
_MAX_BODY_BYTES = 256 * 1024**2  # bodies contain files as base64


@contextlib.asynccontextmanager
async def running(
    state: State, host: str = "127.0.0.1", port: int = 0, asset_port: int = 0
) -> AsyncIterator[str]:
    """Run the emulator in this event loop while the block runs; yield its URL.

    :param port: port of the API; 0: a free port.
    :param asset_port: port of the asset host; 0: a free port.
    :raises ConfigurationError: Pillow or PyAV is not installed.
    :raises OSError: a port is in use.
    """
    media = Media()
    api, assets = Api(state, media), Assets(state, media)
    control = Control(state, api.webhooks)

    async def handle(request: BaseRequest) -> StreamResponse:
        if request.path.startswith(PREFIX):
            return await control.handle(request)
        return await api.handle(request)

    async with contextlib.AsyncExitStack() as stack:
        stack.callback(media.close)
        stack.push_async_callback(api.webhooks.close)
        origin = await stack.enter_async_context(_listen(assets.handle, host, asset_port))
        # When listening on every address, an asset URL gets the host of the client's request.
        state.asset_origin = origin.replace(_EVERY_ADDRESS, "{host}")
        url = await stack.enter_async_context(_listen(handle, host, port))
        stack.callback(state.close)
        yield url


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    asset_port: int = 0,
    min_seconds: float = 2.0,
    max_seconds: float = 5.0,
    seed: int | None = None,
    require_key: str | None = None,
    faults: Faults | None = None,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Run the emulator until SIGINT or SIGTERM.

    :param port, asset_port: ports of the API and the asset host; 0: free ports.
    :param min_seconds, max_seconds: range of the uniformly distributed durations.
    :param seed: makes the duration depend only on path, body and how often both arrived; None: random.
    :param require_key: the only accepted key; None: any key.
    :param faults: active from the start, and again after a reset.
    :param ready: called with the URL when the emulator accepts requests.
    :raises ConfigurationError: Pillow or PyAV is not installed.
    :raises OSError: a port is in use.
    :raises ValueError: ``min_seconds`` is negative, or more than ``max_seconds``.
    """
    faults = faults or Faults()
    if require_key is not None:
        faults.require_key = require_key
    state = State(min_seconds=min_seconds, max_seconds=max_seconds, seed=seed, faults=faults)
    listening = running(state, host, port, asset_port)
    asyncio.run(_serve(listening, ready))


async def _serve(
    listening: contextlib.AbstractAsyncContextManager[str], ready: Callable[[str], None]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with listening as url:
        ready(url)
        await stop.wait()


@contextlib.asynccontextmanager
async def _listen(
    handler: Callable[[BaseRequest], object], host: str, port: int
) -> AsyncIterator[str]:
    # A single handler without aiohttp's router and access log, so that a poll costs little.
    server = Server(handler, request_factory=_request, access_log=None)  # type: ignore[arg-type]
    runner = ServerRunner(server, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = TCPSite(runner, host, port, backlog=1024)
        await site.start()
        name = f"[{host}]" if ":" in host else host
        yield f"http://{name}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _request(*args: object) -> BaseRequest:
    loop = asyncio.get_running_loop()
    return BaseRequest(*args, loop=loop, client_max_size=_MAX_BODY_BYTES)  # type: ignore[arg-type, misc]
