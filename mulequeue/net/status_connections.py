"""Keep-alive connections for status checks: a GET each, to one host, and nothing else.

aiohttp can do all of HTTP and takes 0.08 ms of Python for a request; a status check needs a tenth of
it. Where a proxy is on the way, aiohttp does it (:mod:`mulequeue.api.status_checks`).
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import BaseEventLoop
from typing import Any, cast

from yarl import URL

from mulequeue.net.response_parser import ResponseError, ResponseParser

IDLE_SECONDS = 60.0
"""A line that was idle for longer is not used again."""


class ConnectionClosed(ConnectionError):
    """The other side closed a kept line before it answered: that says nothing about it."""


class StatusConnection(asyncio.Protocol):
    """One connection, one question at a time."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._loop = asyncio.get_running_loop()
        self._reply: ResponseParser | None = None
        self._answer: asyncio.Future[ResponseParser] | None = None
        self.is_open = False
        self.idle_since = 0.0

    async def send(self, request: bytes) -> ResponseParser:
        """Send the bytes of a request and wait for the answer.

        :raises LineClosed: closed before anything was answered.
        :raises ReplyError: the answer cannot be read.
        :raises OSError: the connection broke.
        """
        if not self.is_open:
            raise ConnectionClosed("the connection was closed")
        self._reply = ResponseParser(self._most)
        self._answer = self._loop.create_future()
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            if not self._answer.done() or self._answer.cancelled() or not self._reply.keeps:
                self.close()
            self._answer = self._reply = None

    def time_out(self) -> None:
        """The answer has not come in time."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TimeoutError())
        self.close()

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
        except ResponseError as exc:
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
            answer.set_exception(exc or ResponseError("it was cut short"))
        else:
            answer.set_exception(ConnectionClosed(str(exc or "the server closed the connection")))


class Deadlines:
    """When which line is given up, on one timer: asyncio.timeout takes 5 µs a check, this 0.5."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends: dict[StatusConnection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, connection: StatusConnection, at: float) -> None:
        """Give it up at that time of the loop's clock."""
        self._ends[connection] = at
        if self._timer is None or at < self._timer.when():
            self._schedule(at)

    def clear(self, connection: StatusConnection) -> None:
        """It was answered, or is closed."""
        del self._ends[connection]

    def _schedule(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for connection, at in self._ends.items():
            if at <= now:
                connection.time_out()
        if left := [at for at in self._ends.values() if at > now]:
            self._schedule(min(left))


class StatusConnectionPool:
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
        self._idle: list[StatusConnection] = []
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines()

    async def get(self, target: str, *, seconds: float) -> ResponseParser:
        """Ask once.

        A kept line that the server has just closed is no answer: then once more, over a fresh one.

        :param target: path and query, quoted.
        :param seconds: total time, from connecting to the last byte.
        :raises OSError: no connection, no answer in time.
        :raises ReplyError: the answer cannot be read.
        """
        request = b"GET " + target.encode("ascii") + self._tail
        ends = self._loop.time() + seconds
        connection = self._reusable()
        if connection is not None:
            try:
                return await self._send(connection, request, ends)
            except ConnectionClosed:
                pass
        async with asyncio.timeout_at(ends):
            connection = await self._connect()
        return await self._send(connection, request, ends)

    async def _send(
        self, connection: StatusConnection, request: bytes, ends: float
    ) -> ResponseParser:
        self._deadlines.set(connection, ends)
        try:
            return await connection.send(request)
        finally:
            self._deadlines.clear(connection)
            if connection.is_open:
                connection.idle_since = self._loop.time()
                self._idle.append(connection)

    def _reusable(self) -> StatusConnection | None:
        """The line that was used last, if it is still good."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and self._loop.time() - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    async def _connect(self) -> StatusConnection:
        # The next address is tried soon, not when the first has timed out; uvloop does not know how.
        soon: dict[str, Any] = (
            {"happy_eyeballs_delay": 0.25} if isinstance(self._loop, BaseEventLoop) else {}
        )
        _, connection = await self._loop.create_connection(
            lambda: StatusConnection(self._most),
            self._host,
            self._port,
            ssl=self._ssl,
            server_hostname=self._host if self._ssl else None,
            **soon,
        )
        return connection

    def close(self) -> None:
        """All lines that nobody uses."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()
