"""Status checks with aiohttp, through a proxy if one is given."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import lru_cache

import aiohttp
from yarl import URL

from mulequeue.net.aiohttp_session import keepalive_session, receive, translate_errors
from mulequeue.net.environment import CONNECT_TIMEOUT_SECONDS
from mulequeue.net.raw_response import RawResponse


class AiohttpTransport:
    """A :class:`~mulequeue.net.status_transport.StatusTransport`.

    :param origin: ``http://host:port`` or ``https://…``.
    :param headers: of every request.
    :param ssl_context: verifies the server and the proxy.
    :param max_bytes: limit of a response's body.
    :param proxy: URL of the proxy, with its login; None: connect directly.
    :param limit: maximum number of connections.
    """

    def __init__(
        self,
        origin: str,
        headers: Mapping[str, str],
        *,
        ssl_context: ssl.SSLContext,
        max_bytes: int,
        proxy: str | None,
        limit: int,
    ) -> None:
        self._origin = str(URL(origin).origin())
        self._headers, self._ssl_context = headers, ssl_context
        self._max_bytes = max_bytes
        self._proxy = URL(proxy) if proxy else None
        self._session = self._open_session(limit)

    async def get(
        self, target: str, *, seconds: float, fresh: bool = False, max_bytes: int | None = None
    ) -> RawResponse:
        """Send one GET request; see :class:`~mulequeue.net.status_transport.StatusTransport`."""
        limit = max_bytes or self._max_bytes
        with translate_errors():
            if not fresh:
                return await self._get(self._session, target, seconds, limit)
            async with self._open_session(1) as session:
                return await self._get(session, target, seconds, limit)

    async def _get(
        self, session: aiohttp.ClientSession, target: str, seconds: float, max_bytes: int
    ) -> RawResponse:
        async with session.get(
            URL(self._origin + target, encoded=True),
            proxy=self._proxy,
            timeout=_timeout(seconds),
            allow_redirects=False,
        ) as incoming:
            return await receive(incoming, max_bytes=max_bytes)

    def _open_session(self, limit: int) -> aiohttp.ClientSession:
        return keepalive_session(self._headers, ssl_context=self._ssl_context, limit=limit)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


@lru_cache(maxsize=32)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    # Connecting times out first, so that it is distinguished from a late response.
    connect = min(0.9 * seconds, CONNECT_TIMEOUT_SECONDS)
    return aiohttp.ClientTimeout(total=seconds, sock_connect=connect)
