"""aiohttp for requests to the API: sessions, the connection of a create request, and errors."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp

from mulequeue.net.environment import ca_bundle, tls_context
from mulequeue.net.raw_response import MAX_HEAD_BYTES, RawResponse, ResponseError
from mulequeue.net.status_transport import ProxyError


def keepalive_session(
    headers: Mapping[str, str], *, ssl_context: ssl.SSLContext, limit: int
) -> aiohttp.ClientSession:
    """Return a session that keeps connections open. Call inside the running loop.

    :param headers: of every request.
    :param limit: maximum number of connections.
    """
    connector = aiohttp.TCPConnector(
        limit=limit,
        ssl=ssl_context,
        resolver=aiohttp.ThreadedResolver(),
        keepalive_timeout=60,
    )
    return _session(connector, headers)


def fresh_session(connector: FreshConnector, headers: Mapping[str, str]) -> aiohttp.ClientSession:
    """Return a session for one request over a new connection."""
    return _session(connector, headers)


class TooLate(Exception):
    """The connection is open, but the request must no longer be sent."""


class FreshConnector(aiohttp.TCPConnector):
    """Connects for one request and records whether the connection was established.

    :param before_request: called when the connection is established; may raise to send nothing.
    """

    def __init__(self, before_request: Callable[[], None]) -> None:
        super().__init__(
            limit=1,
            force_close=True,
            ssl=tls_context(ca_bundle()),
            resolver=aiohttp.ThreadedResolver(),
        )
        self._before_request = before_request
        self.was_connected = False
        """True from the moment at which bytes of the request may have been sent."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Connect (DNS, TCP, proxy, TLS), then call ``before_request``."""
        if self.was_connected:
            raise TooLate("this connector is for one request")
        connection = await super().connect(*args, **kwargs)
        try:
            self._before_request()
        except BaseException:
            connection.close()
            raise
        self.was_connected = True
        return connection


def _session(connector: aiohttp.TCPConnector, headers: Mapping[str, str]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        # trust_env would read .netrc and start a thread per request; proxy_for does its useful part.
        trust_env=False,
        # The size of the decoded body is limited as well: RawResponse.decode.
        auto_decompress=False,
        max_field_size=MAX_HEAD_BYTES,
        headers=headers,
    )


async def receive(
    incoming: aiohttp.ClientResponse, response: RawResponse, *, max_bytes: int
) -> RawResponse:
    """Fill ``response`` with up to ``max_bytes`` of the body; an error leaves what arrived in it."""
    response.status, response.raw_headers = incoming.status, incoming.raw_headers
    response.encoding = incoming.headers.get("Content-Encoding")
    content = incoming.content
    while not content.at_eof():
        response.body += await content.readany()
        if len(response.body) > max_bytes:
            response.body = response.body[:max_bytes]
            incoming.close()
            return response
    response.is_complete = True
    return response


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise aiohttp's errors as those of :class:`~mulequeue.net.status_transport.StatusTransport`."""
    try:
        yield
    except aiohttp.ClientHttpProxyError as exc:
        raise ProxyError(exc.status) from None
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
