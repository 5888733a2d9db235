"""Send response bodies slowly, or without an end."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp.web import BaseRequest, Response, StreamResponse

from mulequeue.emulator.faults import Burst

_SLICES = 50
_SPACES = b" " * 65_536
_PAUSE_SECONDS = 0.01  # between two writes: about 6 MB/s, so that a client's memory fills slowly


async def send_with_fault(
    request: BaseRequest, reply: Response, burst: Burst | None
) -> StreamResponse:
    """Return ``reply``, or send its body if the burst is ``slow_body`` or ``endless``.

    ``slow_body`` spreads the body evenly over the burst's seconds, so that no single read times out.
    ``endless`` appends spaces until the client disconnects.
    """
    if burst is None or burst.do not in ("slow_body", "endless"):
        return reply
    assert isinstance(reply.body, bytes)
    stream = StreamResponse(status=reply.status, headers=reply.headers)
    stream.headers.pop("Content-Length", None)
    with contextlib.suppress(ConnectionError):
        if burst.do == "slow_body":
            stream.content_length = len(reply.body)
            await _send_slowly(request, stream, reply.body, burst.seconds)
        else:
            await _send_endless(request, stream, reply.body)
    return stream


async def _send_slowly(
    request: BaseRequest, stream: StreamResponse, body: bytes, seconds: float
) -> None:
    await stream.prepare(request)
    size = max(1, -(-len(body) // _SLICES))
    slices = [body[i : i + size] for i in range(0, len(body), size)]
    for part in slices:
        await asyncio.sleep(seconds / len(slices))
        await stream.write(part)
    await stream.write_eof()


async def _send_endless(request: BaseRequest, stream: StreamResponse, body: bytes) -> None:
    await stream.prepare(request)
    await stream.write(body)
    while True:
        await stream.write(_SPACES)
        await asyncio.sleep(_PAUSE_SECONDS)
