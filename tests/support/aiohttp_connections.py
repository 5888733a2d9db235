"""aiohttp with the interface of ``StatusConnectionPool``: the contract that both have to fulfil."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
from yarl import URL

from mulequeue.net.connection import NotConnected, ProxyError
from mulequeue.net.environment import CONNECT_TIMEOUT_SECONDS
from mulequeue.net.raw_response import MAX_HEAD_BYTES, RawResponse, ResponseError


class AiohttpConnections:
    """Connections of aiohttp to one origin, with the arguments and errors of ``StatusConnectionPool``."""

    def __init__(
        self,
        origin: str,
        headers: Mapping[str, str],
        *,
        ssl_context: ssl.SSLContext,
        max_bytes: int,
        proxy: str | None = None,
    ) -> None:
        self._origin = str(URL(origin).origin())
        self._headers, self._ssl_context = headers, ssl_context
        self._max_bytes = max_bytes
        self._proxy = URL(proxy) if proxy else None
        self._session = self._open_session()

    async def get(
        self, target: str, *, seconds: float, fresh: bool = False, max_bytes: int | None = None
    ) -> RawResponse:
        """Send one GET request; see ``StatusConnectionPool.get``."""
        with _translate_errors():
            if not fresh:
                return await self._get(self._session, target, seconds, max_bytes)
            async with self._open_session() as session:
                return await self._get(session, target, seconds, max_bytes)

    def close(self) -> None:
        """Close all connections, in the next turn of the event loop."""
        self._closing = asyncio.ensure_future(self._session.close())

    async def _get(
        self, session: aiohttp.ClientSession, target: str, seconds: float, max_bytes: int | None
    ) -> RawResponse:
        async with session.get(
            URL(self._origin + target, encoded=True),
            proxy=self._proxy,
            # Connecting times out first, so that it is distinguished from a late response.
            timeout=aiohttp.ClientTimeout(
                total=seconds, sock_connect=min(0.9 * seconds, CONNECT_TIMEOUT_SECONDS)
            ),
            allow_redirects=False,
        ) as incoming:
            return await _receive(incoming, max_bytes or self._max_bytes)

    def _open_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._ssl_context, resolver=aiohttp.ThreadedResolver(), keepalive_timeout=60
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            max_field_size=MAX_HEAD_BYTES,
            headers=self._headers,
        )


async def _receive(incoming: aiohttp.ClientResponse, max_bytes: int) -> RawResponse:
    """Return the response with up to ``max_bytes`` of its body."""
    response = RawResponse(status=incoming.status, raw_headers=incoming.raw_headers)
    response.encoding = incoming.headers.get("Content-Encoding")
    while not incoming.content.at_eof():
        response.body += await incoming.content.readany()
        if len(response.body) > max_bytes:
            response.body = response.body[:max_bytes]
            incoming.close()
            return response
    response.is_complete = True
    return response


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise aiohttp's errors as those of ``StatusConnectionPool``."""
    try:
        yield
    except aiohttp.ClientHttpProxyError as exc:
        raise ProxyError(exc.status) from None
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
        raise NotConnected(str(exc)) from exc
    except TimeoutError as exc:
        raise TimeoutError(*exc.args) from None
    except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as exc:
        raise ResponseError(str(exc)) from None
    except aiohttp.ServerDisconnectedError:
        raise ConnectionError("the server closed the connection") from None
    except aiohttp.ClientError as exc:
        if isinstance(exc, OSError):
            raise
        raise ConnectionError(str(exc)) from None
