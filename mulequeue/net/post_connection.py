"""A connection for one create request. It keeps every byte of the response, however malformed.

An HTTP library discards what it received if a response ends too early or breaks a rule of HTTP. Those
bytes may contain the id of a billed generation.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast

from mulequeue.net.raw_response import MAX_HEAD_BYTES, RawResponse, ResponseError
from mulequeue.net.response_parser import ResponseParser


class PostConnection(asyncio.Protocol):
    """One connection for one request.

    :param max_bytes: limit of the response's body.
    """

    def __init__(self, max_bytes: int) -> None:
        self.received = bytearray()
        """The response as it arrived; bytes beyond the limits are dropped."""
        self._max_bytes = max_bytes
        self._most = max_bytes + 2 * MAX_HEAD_BYTES
        self._has_ended = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    async def response(self, request: bytes) -> RawResponse:
        """Send the request and return its response.

        :raises ResponseError: the response breaks a rule of HTTP, or ends too early.
        :raises OSError: the connection failed.
        """
        assert self._transport is not None
        self._transport.write(request)
        parser = ResponseParser(self._max_bytes)
        fed = 0
        while data := await self._more(fed):
            fed += len(data)
            if parser.feed(data):
                return parser.response
        if parser.end():
            return parser.response
        raise self._error or ResponseError("the connection closed before the response was complete")

    async def wait_for_end(self, seconds: float) -> None:
        """Receive more bytes until the server closes the connection, for at most ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._more(len(self.received)):
                    pass

    def close(self) -> None:
        """Close immediately."""
        if self._transport is not None:
            self._transport.abort()

    async def _more(self, known: int) -> bytes:
        """Wait for bytes after the first ``known``; return none at the end of the connection."""
        while len(self.received) == known and not self._has_ended:
            self._changed.clear()
            await self._changed.wait()
        return bytes(self.received[known:])

    # -- asyncio callbacks -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data[: self._most - len(self.received)]
        if len(self.received) >= self._most:
            self._has_ended = True
            self.close()
        self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended = True
        self._error = self._error or exc
        self._changed.set()
