"""Open the connections to the API, directly or through a proxy, and write the head of a request."""

from __future__ import annotations

import asyncio
import base64
import ssl
from asyncio import BaseEventLoop
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from yarl import URL

from mulequeue.net.raw_response import MAX_HEAD_BYTES

_P = TypeVar("_P", bound=asyncio.Protocol)


class NotConnected(OSError):
    """No connection was established, so nothing was sent.

    Its cause is the error of the resolver, the network, the proxy or TLS.
    """


class ProxyError(NotConnected):
    """The proxy refused the connection.

    :param status: the HTTP status of its response.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy returned {status} to CONNECT")
        self.status = status


async def connect(
    make: Callable[[], _P],
    url: URL,
    proxy: URL | None,
    context: ssl.SSLContext,
    *,
    seconds: float,
) -> _P:
    """Connect to the host of ``url`` and return the protocol; no byte of a request is sent.

    :param make: returns the protocol of the connection.
    :param proxy: for an ``https`` URL it opens a tunnel; for ``http`` it receives the request.
    :param context: verifies the server and the proxy.
    :raises NotConnected: there is no connection within ``seconds``.
    """
    if proxy is not None and proxy.scheme not in ("http", "https"):
        raise NotConnected(
            f"a proxy of the scheme {proxy.scheme}:// is not supported. Use an http:// or https:// proxy, or "
            "put the host into NO_PROXY"
        )
    try:
        async with asyncio.timeout(seconds):
            if proxy is not None and url.scheme == "https":
                return await _open_tunnel(make, url, proxy, context)
            return (await _open(make, proxy or url, context))[1]
    except NotConnected:
        raise
    except OSError as exc:
        raise NotConnected(str(exc)) from exc


async def _open(
    make: Callable[[], _P], url: URL, context: ssl.SSLContext
) -> tuple[asyncio.Transport, _P]:
    loop = asyncio.get_running_loop()
    is_tls = url.scheme == "https"
    # Try the next address after 0.25 s instead of after a timeout; uvloop has no such option.
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


async def _open_tunnel(make: Callable[[], _P], url: URL, proxy: URL, context: ssl.SSLContext) -> _P:
    """Open a tunnel through the proxy and start TLS in it."""
    transport, tunnel = await _open(_Tunnel, proxy, context)
    try:
        host = url.raw_host or ""
        target = f"[{host}]:{url.port}" if ":" in host else f"{host}:{url.port}"
        transport.write(f"CONNECT {target}{_head_end({'Host': target, **_login(proxy)})}".encode())
        status = (await tunnel.head).split(b" ", 2)[1:2]
        if status != [b"200"]:
            raise ProxyError(int(status[0]) if status and status[0].isdigit() else 0)
        protocol = make()
        loop = asyncio.get_running_loop()
        secured = await loop.start_tls(transport, protocol, context, server_hostname=host)
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(cast(asyncio.Transport, secured))
    return protocol


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
    """Return the head of a request, in two parts: the target is inserted between them.

    :param proxy: as for :func:`connect`.
    """
    rows = {"Host": url.host_port_subcomponent or "", **headers}
    if proxy is None or url.scheme == "https":
        return f"{method} ".encode(), _head_end(rows).encode("ascii")
    return f"{method} {url.origin()}".encode(), _head_end(rows | _login(proxy)).encode("ascii")


def _head_end(rows: Mapping[str, str]) -> str:
    lines = "".join(f"{name}: {value}\r\n" for name, value in rows.items())
    return f" HTTP/1.1\r\n{lines}\r\n"


def _login(proxy: URL) -> dict[str, str]:
    """Return the header with the login of a proxy's URL, if it has one."""
    if proxy.user is None and proxy.password is None:
        return {}
    login = f"{proxy.user or ''}:{proxy.password or ''}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}
