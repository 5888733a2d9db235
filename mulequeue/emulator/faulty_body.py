"""Bodies that come slowly, or never come to an end."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp.web import BaseRequest, Response, StreamResponse

from mulequeue.emulator.faults import Burst

_SLICES = 50
_SPACES = b" " * 65_536
_PAUSE_SECONDS = 0.01  # between two of them: some 6 MB/s, so that nobody's memory fills in a blink


async def sent_badly(request: BaseRequest, reply: Response, burst: Burst | None) -> StreamResponse:
    """``reply`` itself, or its body sent as the burst says.

    ``slow_body`` spreads it evenly over the burst's seconds, so no single read ever times out;
    ``endless`` sends spaces behind it until the client goes away.
    """
    if burst is None or burst.do not in ("slow_body", "endless"):
        return reply
    assert isinstance(reply.body, bytes)
    stream = StreamResponse(status=reply.status, headers=reply.headers)
    stream.headers.pop("Content-Length", None)
    with contextlib.suppress(ConnectionError):
        if burst.do == "slow_body":
            stream.content_length = len(reply.body)
            await _slowly(request, stream, reply.body, burst.seconds)
        else:
            await _for_ever(request, stream, reply.body)
    return stream


async def _slowly(
    request: BaseRequest, stream: StreamResponse, body: bytes, seconds: float
) -> None:
    await stream.prepare(request)
    size = max(1, -(-len(body) // _SLICES))
    slices = [body[i : i + size] for i in range(0, len(body), size)]
    for part in slices:
        await asyncio.sleep(seconds / len(slices))
        await stream.write(part)
    await stream.write_eof()


async def _for_ever(request: BaseRequest, stream: StreamResponse, body: bytes) -> None:
    await stream.prepare(request)
    await stream.write(body)
    while True:
        await stream.write(_SPACES)
        await asyncio.sleep(_PAUSE_SECONDS)
