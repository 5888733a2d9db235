"""Keep-alive connections for status checks: a GET each, to one host, and nothing else.

aiohttp can do all of HTTP and takes 0.08 ms of Python for a request; a status check needs a tenth of
it. Where a proxy is on the way, aiohttp does it (:mod:`mulequeue.checks`).
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import BaseEventLoop
from typing import Any, cast

from yarl import URL

from mulequeue.reply import Reply, ReplyError

IDLE_SECONDS = 60.0
"""A line that was idle for longer is not used again."""


class LineClosed(ConnectionError):
    """The other side closed a kept line before it answered: that says nothing about it."""


class Line(asyncio.Protocol):
    """One connection, one question at a time."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._loop = asyncio.get_running_loop()
        self._reply: Reply | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self.is_open = False
        self.idle_since = 0.0

    async def ask(self, request: bytes) -> Reply:
        """Send the bytes of a request and wait for the answer.

        :raises LineClosed: closed before anything was answered.
        :raises ReplyError: the answer cannot be read.
        :raises OSError: the connection broke.
        """
        if not self.is_open:
            raise LineClosed("the connection was closed")
        self._reply = Reply(self._most)
        self._answer = self._loop.create_future()
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            if not self._answer.done() or self._answer.cancelled() or not self._reply.keeps:
                self.close()
            self._answer = self._reply = None

    def close(self) -> None:
        """At once, whatever is under way."""
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    # -- what the loop calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        reply, answer = self._reply, self._answer
        if reply is None or answer is None or answer.done():
            self.close()  # nobody asked
            return
        try:
            if reply.feed(data):
                answer.set_result(reply)
        except ReplyError as exc:
            answer.set_exception(exc)
            self.close()  # where it ends nobody knows: the rest could pass for the next answer

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        reply, answer = self._reply, self._answer
        if reply is None or answer is None or answer.done():
            return
        if exc is None and reply.end():
            answer.set_result(reply)
        elif reply.has_begun:
            answer.set_exception(exc or ReplyError("it was cut short"))
        else:
            answer.set_exception(LineClosed(str(exc or "the server closed the connection")))


class Lines:
    """The lines to one host; as many as questions are asked at once.

    :param origin: ``http://host:port`` or ``https://…``.
    :param head: the request's headers, as they go over the line, without ``Host``.
    :param ssl_context: verifies the server of an ``https`` origin.
    :param most_bytes: of an answer's body.
    """

    def __init__(
        self, origin: str, head: bytes, *, ssl_context: ssl.SSLContext, most_bytes: int
    ) -> None:
        url = URL(origin)
        self._host, self._port = cast(str, url.host), cast(int, url.port)
        self._ssl = ssl_context if url.scheme == "https" else None
        self._most = most_bytes
        host = url.host_port_subcomponent or ""
        self._tail = b" HTTP/1.1\r\nHost: " + host.encode() + b"\r\n" + head + b"\r\n"
        self._idle: list[Line] = []
        self._loop = asyncio.get_running_loop()

    async def get(self, target: str, *, seconds: float) -> Reply:
        """Ask once.

        A kept line that the server has just closed is no answer: then once more, over a fresh one.

        :param target: path and query, quoted.
        :param seconds: total time, from connecting to the last byte.
        :raises OSError: no connection, no answer in time.
        :raises ReplyError: the answer cannot be read.
        """
        request = b"GET " + target.encode("ascii") + self._tail
        async with asyncio.timeout(seconds):
            line = self._kept()
            if line is not None:
                try:
                    return await self._ask(line, request)
                except LineClosed:
                    pass
            return await self._ask(await self._connect(), request)

    async def _ask(self, line: Line, request: bytes) -> Reply:
        try:
            return await line.ask(request)
        finally:
            if line.is_open:
                line.idle_since = self._loop.time()
                self._idle.append(line)

    def _kept(self) -> Line | None:
        """The line that was used last, if it is still good."""
        while self._idle:
            line = self._idle.pop()
            if line.is_open and self._loop.time() - line.idle_since < IDLE_SECONDS:
                return line
            line.close()
        return None

    async def _connect(self) -> Line:
        # The next address is tried soon, not when the first has timed out; uvloop does not know how.
        soon: dict[str, Any] = (
            {"happy_eyeballs_delay": 0.25} if isinstance(self._loop, BaseEventLoop) else {}
        )
        _, line = await self._loop.create_connection(
            lambda: Line(self._most),
            self._host,
            self._port,
            ssl=self._ssl,
            server_hostname=self._host if self._ssl else None,
            **soon,
        )
        return line

    def close(self) -> None:
        """All lines that nobody uses."""
        for line in self._idle:
            line.close()
        self._idle.clear()
