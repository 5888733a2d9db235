"""A connection for one create request. It keeps every byte of the response, however malformed.

An HTTP library discards what it received if a response ends too early or breaks a rule of HTTP. Those
bytes may contain the id of a billed generation.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from asyncio import BaseEventLoop
from collections.abc import Mapping
from typing import Any, cast

from yarl import URL

from mulequeue.net.environment import CONNECT_TIMEOUT_SECONDS
from mulequeue.net.raw_response import MAX_HEAD_BYTES, RawResponse, ResponseError
from mulequeue.net.response_parser import ResponseParser
from mulequeue.net.status_transport import NotConnected, ProxyError


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

    async def connect(self, url: URL, proxy: URL | None, context: ssl.SSLContext) -> None:
        """Connect to the host of ``url``; no byte of the request is sent.

        :param proxy: for an ``https`` URL it opens a tunnel; for ``http`` it receives the request.
        :param context: verifies the server and the proxy.
        :raises NotConnected: there is no connection.
        """
        if proxy is not None and proxy.scheme not in ("http", "https"):
            raise NotConnected(
                f"a proxy of the scheme {proxy.scheme}:// is not supported. Use an http:// or https:// proxy, or "
                "put the host into NO_PROXY"
            )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                await self._open(proxy or url, context)
                if proxy is not None and url.scheme == "https":
                    await self._open_tunnel(url, proxy, context)
        except OSError as exc:
            if isinstance(exc, NotConnected):
                raise
            raise NotConnected(str(exc)) from exc

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
        try:
            async with asyncio.timeout(seconds):
                while await self._more(len(self.received)):
                    pass
        except TimeoutError:
            pass

    def close(self) -> None:
        """Close immediately."""
        if self._transport is not None:
            self._transport.abort()

    async def _open(self, url: URL, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        is_tls = url.scheme == "https"
        # Try the next address after 0.25 s instead of after a timeout; uvloop has no such option.
        options: dict[str, Any] = (
            {"happy_eyeballs_delay": 0.25} if isinstance(loop, BaseEventLoop) else {}
        )
        await loop.create_connection(
            lambda: self,
            str(url.raw_host),
            cast(int, url.port),
            ssl=context if is_tls else None,
            server_hostname=url.raw_host if is_tls else None,
            **options,
        )

    async def _open_tunnel(self, url: URL, proxy: URL, context: ssl.SSLContext) -> None:
        """Open a tunnel through the proxy and start TLS in it."""
        assert self._transport is not None
        target = f"{_bracketed(url.raw_host)}:{url.port}"
        head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{_proxy_login(proxy)}\r\n"
        self._transport.write(head.encode("ascii"))
        while b"\r\n\r\n" not in self.received and len(self.received) < MAX_HEAD_BYTES:
            if not await self._more(len(self.received)):
                raise self._error or ConnectionError("the proxy closed the connection")
        status = self.received.split(b" ", 2)[1:2]
        if status != [b"200"]:
            raise ProxyError(int(status[0]) if status and status[0].isdigit() else 0)
        self.received.clear()
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(
            self._transport, self, context, server_hostname=url.raw_host
        )
        self._transport = transport

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


def request_head(url: URL, proxy: URL | None, headers: Mapping[str, str], length: int) -> bytes:
    """Return the request line and the headers of a POST.

    :param proxy: as for :meth:`PostConnection.connect`.
    :param length: of the body, in bytes.
    """
    is_forwarded = proxy is not None and url.scheme == "http"
    target = str(url) if is_forwarded else url.raw_path_qs
    rows = {"Host": url.host_port_subcomponent or "", "Connection": "close", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in rows.items())
    login = _proxy_login(proxy) if proxy is not None and is_forwarded else ""
    head = f"POST {target} HTTP/1.1\r\n{lines}Content-Length: {length}\r\n{login}\r\n"
    return head.encode("ascii")


def _proxy_login(proxy: URL) -> str:
    """Return the header line with the login of a proxy's URL, or an empty text."""
    if proxy.user is None and proxy.password is None:
        return ""
    login = f"{proxy.user or ''}:{proxy.password or ''}".encode()
    return f"Proxy-Authorization: Basic {base64.b64encode(login).decode()}\r\n"


def _bracketed(host: str | None) -> str:
    return f"[{host}]" if host and ":" in host else str(host)
