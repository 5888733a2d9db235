"""The two listeners of the emulator, API and asset host, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable

from aiohttp.web import BaseRequest, Server, ServerRunner, StreamResponse, TCPSite

from mulequeue.emulator.asset_host import Assets
from mulequeue.emulator.control import PREFIX, Control
from mulequeue.emulator.faults import Faults
from mulequeue.emulator.gateway import Api
from mulequeue.emulator.media import Media
from mulequeue.emulator.state import State

_EVERY_ADDRESS = "0.0.0.0"
_MAX_BODY = 256 * 1024**2  # files travel in bodies as base64


@contextlib.asynccontextmanager
async def running(
    state: State, host: str = "127.0.0.1", port: int = 0, asset_port: int = 0
) -> AsyncIterator[str]:
    """The emulator inside an event loop; gives its URL.

    :param port: of the API; 0: a free one.
    :param asset_port: of the asset host; 0: a free one.
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
        origin = await stack.enter_async_context(_listening(assets.handle, host, asset_port))
        # Listening on every address: an asset URL names the one that the client reached.
        state.asset_origin = origin.replace(_EVERY_ADDRESS, "{host}")
        url = await stack.enter_async_context(_listening(handle, host, port))
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
    exit_with_stdin: bool = False,
) -> None:
    """Run the emulator until SIGINT or SIGTERM.

    :param port, asset_port: of the API and the asset host; 0: free ones.
    :param min_seconds, max_seconds: how long a generation takes, evenly spread.
    :param seed: the same times for the same bodies; None: by chance.
    :param require_key: the only key that is accepted; None: any.
    :param faults: in force from the start, and again after a reset.
    :param ready: called with the URL once it answers.
    :param exit_with_stdin: end as well when standard input does, as when the parent dies.
    :raises ConfigurationError: Pillow or PyAV is not installed.
    :raises OSError: a port is in use.
    :raises ValueError: min_seconds is more than max_seconds.
    """
    faults = faults or Faults()
    if require_key is not None:
        faults.require_key = require_key
    state = State(min_seconds=min_seconds, max_seconds=max_seconds, seed=seed, faults=faults)
    listening = running(state, host, port, asset_port)
    asyncio.run(_serve(listening, ready, exit_with_stdin))


async def _serve(
    listening: contextlib.AbstractAsyncContextManager[str],
    ready: Callable[[str], None],
    exit_with_stdin: bool,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with listening as url:
        if exit_with_stdin:
            watch = threading.Thread(target=_watch_stdin, args=(loop, stop), daemon=True)
            watch.start()
        ready(url)
        await stop.wait()


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop is closed: it has stopped already
        loop.call_soon_threadsafe(stop.set)


@contextlib.asynccontextmanager
async def _listening(
    handler: Callable[[BaseRequest], object], host: str, port: int
) -> AsyncIterator[str]:
    # One handler, no routes, no access log: a status check stays cheap.
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
    return BaseRequest(*args, loop=loop, client_max_size=_MAX_BODY)  # type: ignore[arg-type, misc]
