"""The asset host: serves the generated files on a port separate from the API."""

from __future__ import annotations

import asyncio

from aiohttp.web import BaseRequest, Response, StreamResponse

from mulequeue.emulator.faults import Burst
from mulequeue.emulator.faulty_body import send_with_fault
from mulequeue.emulator.generation import Generation
from mulequeue.emulator.http_responses import (
    burst_reply,
    cut,
    edge_block,
    redirect_reply,
    text_reply,
)
from mulequeue.emulator.media import File, Media
from mulequeue.emulator.state import State

_BODY_FAULTS = frozenset({"truncate", "no_content_type", "slow_body", "endless"})


class Assets:
    """Handler of every request to the asset host."""

    def __init__(self, state: State, media: Media) -> None:
        self.state = state
        self.media = media

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Answer one request."""
        if "Authorization" in request.headers:
            self.state.counters.add("auth_leaks")
            return text_reply("InvalidArgument: only one auth mechanism allowed", 400)
        if request.method != "GET":
            return text_reply("MethodNotAllowed", 405)
        found = self.state.links.get(request.path)
        if found is None:
            return text_reply("NoSuchKey", 404)
        generation, index = found
        if not self._is_fresh(request.path, generation):
            return text_reply("AccessDenied: expired", self.state.faults.asset_expired_status)
        return await self._serve(request, generation, index)

    def _is_fresh(self, path: str, generation: Generation) -> bool:
        return path in generation.links and self.state.clock() < generation.links_expire

    async def _serve(
        self, request: BaseRequest, generation: Generation, index: int
    ) -> StreamResponse:
        faults, prompt = self.state.faults, generation.prompt
        burst = faults.take("downloads", prompt, edge=True)
        burst = burst or faults.take("downloads", prompt, edge=False)
        refusal = await self._apply_burst(request, burst)
        if refusal is not None:
            return refusal
        file = await self.media.render(generation, index)
        if burst is not None and burst.do == "truncate":
            return await _send_truncated(request, file)
        if burst is not None and burst.do in ("slow_body", "endless"):
            typed = Response(body=file.data, headers={"Content-Type": file.media_type})
            return await send_with_fault(request, typed, burst)
        media_type = None if burst and burst.do == "no_content_type" else file.media_type
        reply = _whole_or_range(request, file.data, media_type)
        await reply.prepare(request)
        await reply.write_eof()
        if reply.status < 400:
            self.state.counters.add("downloads")
        return reply

    async def _apply_burst(self, request: BaseRequest, burst: Burst | None) -> Response | None:
        do = burst.do if burst else None
        if burst is None or do in _BODY_FAULTS:
            return None
        if do == "hold":
            await self.state.hold("downloads")
            return None
        if do == "slow":
            await asyncio.sleep(burst.seconds)
            return None
        if do == "status":
            return burst_reply(request, burst)
        if do == "redirect":
            return redirect_reply(request, burst)
        if do == "html":
            return text_reply("<html><body>Please come back later.</body></html>")
        return cut(request) if do == "drop" else edge_block()


def _whole_or_range(request: BaseRequest, data: bytes, media_type: str | None) -> Response:
    headers = {"Accept-Ranges": "bytes"}
    status = 200
    if request.headers.get("Range"):
        try:
            start, stop, _ = request.http_range.indices(len(data))
        except ValueError:
            start = stop = 0
        if start >= stop:
            return Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        status, data = 206, data[start:stop]
    if media_type is not None:
        return Response(body=data, status=status, headers={**headers, "Content-Type": media_type})
    reply = _Untyped(body=data, status=status, headers=headers)
    return reply


class _Untyped(Response):
    """A response without Content-Type. aiohttp adds a default, which is removed before sending."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop("Content-Type", None)


async def _send_truncated(request: BaseRequest, file: File) -> StreamResponse:
    """Send half of the bytes that Content-Length announces, then close the connection."""
    reply = StreamResponse(headers={"Content-Type": file.media_type})
    reply.content_length = len(file.data)
    await reply.prepare(request)
    await reply.write(file.data[: len(file.data) // 2])
    if request.transport is not None:
        request.transport.close()
    return reply
