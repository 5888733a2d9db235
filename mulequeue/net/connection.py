"""Connections to the API, directly or through a proxy, and the head of a request."""

from __future__ import annotations

import asyncio
import base64
import ssl
from asyncio import BaseEventLoop
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from yarl import URL

from mulequeue.net.raw_response import MAX_HEAD_BYTES, RawResponse, ResponseError
from mulequeue.net.response_parser import ResponseParser

_P = TypeVar("_P", bound=asyncio.Protocol)


class NotConnected(OSError):
    """No connection was established, so no request was sent.

    ``__cause__`` is the error of the resolver, the network, the proxy or TLS, if there is one.
    """


class ProxyError(NotConnected):
    """The proxy rejected the CONNECT request.

    :param status: the HTTP status of the proxy's response; 0 if it is not readable.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy returned {status} to CONNECT")
        self.status = status


class ConnectionClosed(ConnectionError):
    """The server closed the connection before it sent any byte of a response."""


class Connection(asyncio.Protocol):
    """One connection, for one request at a time.

    :param record_bytes: number of received bytes to keep in ``received``, even if they are malformed. A response
        that ends too early may contain the id of a billed generation; an HTTP library would discard it.
    """

    def __init__(self, record_bytes: int = 0) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser: ResponseParser | None = None
        self._response: asyncio.Future[RawResponse] | None = None
        self.received, self._record_bytes = bytearray(), record_bytes
        self.is_open = self.is_reusable = False
        self.closed = self._loop.create_future()
        self.idle_since = 0.0

    async def send(self, request: bytes, max_bytes: int) -> RawResponse:
        """Send a request and return its response, with at most ``max_bytes`` of its body.

        :raises ConnectionClosed: the connection was closed before the response began.
        :raises ResponseError: the response is not readable.
        :raises OSError: the connection failed.
        """
        if not self.is_open:
            raise ConnectionClosed("the connection was closed")
        self.is_reusable = False
        self._parser = ResponseParser(max_bytes)
        self._response = self._loop.create_future()
        self._transport.write(request)
        try:
            response = await self._response
            self.is_reusable = self._parser.is_reusable
            return response
        finally:
            self._response = self._parser = None

    def time_out(self) -> None:
        """End the current request with a TimeoutError and close the connection."""
        if self._response is not None and not self._response.done():
            self._response.set_exception(TimeoutError())
        self.close()

    def close(self) -> None:
        """Close immediately, even during a request."""
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    # -- asyncio callbacks -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = not transport.is_closing()

    def data_received(self, data: bytes) -> None:
        parser, response = self._parser, self._response
        if len(self.received) < self._record_bytes:
            self.received += data[: self._record_bytes - len(self.received)]
        if parser is None or response is None or response.done():
            if len(self.received) >= self._record_bytes:
                self.close()  # no request waits for these bytes
            return
        try:
            if parser.feed(data):
                response.set_result(parser.response)
        except ResponseError as exc:
            response.set_exception(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.closed.set_result(None)
        parser, response = self._parser, self._response
        if parser is None or response is None or response.done():
            return
        if exc is None and parser.end():
            response.set_result(parser.response)
        elif parser.response.status:
            response.set_exception(exc or ResponseError("the connection closed in the body"))
        elif parser.has_begun:
            response.set_exception(exc or ConnectionError("the connection closed in the headers"))
        else:
            response.set_exception(ConnectionClosed(str(exc or "the server closed the connection")))


async def connect(
    url: URL,
    proxy: URL | None,
    context: ssl.SSLContext,
    *,
    seconds: float,
    record_bytes: int = 0,
) -> Connection:
    """Connect to the host of ``url``, without sending a request to it.

    :param proxy: opens a tunnel for an ``https`` URL; receives the request itself for an ``http`` URL.
    :param record_bytes: see :class:`Connection`.
    :raises NotConnected: no connection was established within ``seconds``, or the proxy is not supported.
    """
    if proxy is not None and proxy.scheme not in ("http", "https"):
        raise NotConnected(
            f"a proxy of the scheme {proxy.scheme}:// is not supported. Use an http:// or https:// proxy, or "
            "put the host into NO_PROXY"
        )
    try:
        async with asyncio.timeout(seconds):
            if proxy is not None and url.scheme == "https":
                return await _open_tunnel(Connection(record_bytes), url, proxy, context)
            _, connection = await _open(lambda: Connection(record_bytes), proxy or url, context)
            return connection
    except NotConnected:
        raise
    except OSError as exc:
        raise NotConnected(str(exc)) from exc


async def _open(
    make: Callable[[], _P], url: URL, context: ssl.SSLContext
) -> tuple[asyncio.Transport, _P]:
    loop = asyncio.get_running_loop()
    is_tls = url.scheme == "https"
    # Try the host's next address after 0.25 s instead of after a timeout; uvloop has no such option.
    options: dict[str, Any] = (
        {"happy_eyeballs_delay": 0.25} if isinstance(loop, BaseEventLoop) else {}
    )
    return await loop.create_connection(
        make,
        str(url.raw_host),
        cast(int, url.port),
        ssl=context if is_tls else None,
        server_hostname=url.raw_host if is_tls else None,
        **options,
    )


async def _open_tunnel(
    connection: Connection, url: URL, proxy: URL, context: ssl.SSLContext
) -> Connection:
    """Open a tunnel through the proxy and start TLS in it."""
    transport, tunnel = await _open(_Tunnel, proxy, context)
    try:
        host = url.raw_host or ""
        target = f"[{host}]:{url.port}" if ":" in host else f"{host}:{url.port}"
        transport.write(f"CONNECT {target}{_head_end({'Host': target, **_login(proxy)})}".encode())
        status = (await tunnel.head).split(b" ", 2)[1:2]
        if status != [b"200"]:
            raise ProxyError(int(status[0]) if status and status[0].isdigit() else 0)
        loop = asyncio.get_running_loop()
        secured = await loop.start_tls(transport, connection, context, server_hostname=host)
    except BaseException:
        transport.abort()
        raise
    connection.connection_made(cast(asyncio.Transport, secured))
    return connection


class _Tunnel(asyncio.Protocol):
    """Receives a proxy's response to CONNECT."""

    def __init__(self) -> None:
        self.head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        is_whole = b"\r\n\r\n" in self._received or len(self._received) >= MAX_HEAD_BYTES
        if is_whole and not self.head.done():
            self.head.set_result(self._received)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.head.done():
            self.head.set_exception(exc or ConnectionError("the proxy closed the connection"))


def request_head(
    method: str, url: URL, proxy: URL | None, headers: Mapping[str, str]
) -> tuple[bytes, bytes]:
    """Return the head of a request as the parts before and after the target (path and query)."""
    rows = {"Host": url.host_port_subcomponent or "", **headers}
    if proxy is None or url.scheme == "https":
        return f"{method} ".encode(), _head_end(rows).encode("ascii")
    return f"{method} {url.origin()}".encode(), _head_end(rows | _login(proxy)).encode("ascii")


def _head_end(rows: Mapping[str, str]) -> str:
    lines = "".join(f"{name}: {value}\r\n" for name, value in rows.items())
    return f" HTTP/1.1\r\n{lines}\r\n"


def _login(proxy: URL) -> dict[str, str]:
    """Return the ``Proxy-Authorization`` header for the login in a proxy's URL; empty if there is none."""
    if proxy.user is None and proxy.password is None:
        return {}
    login = f"{proxy.user or ''}:{proxy.password or ''}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}
