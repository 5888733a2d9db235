"""The interface to an API's host for status checks: many GET requests to one origin.

========================  ===================================================================
``StatusConnectionPool``  Our own HTTP/1.1 connections: a tenth of aiohttp's CPU time per request.
``AiohttpTransport``      aiohttp, which also supports proxies.
========================  ===================================================================

Both return the same responses and raise the same errors
(``tests/integration/net/test_status_transport.py``).
"""

from __future__ import annotations

from typing import Protocol

from mulequeue.net.raw_response import RawResponse


class StatusTransport(Protocol):
    """Keep-alive connections to one origin, used on one event loop."""

    async def get(
        self, target: str, *, seconds: float, fresh: bool = False, max_bytes: int | None = None
    ) -> RawResponse:
        """Send one GET request and return its response; follow no redirect.

        If the server closes the connection before it answers, the request may be sent once more
        over a new one; after an idle connection it always is.

        :param target: path and query, percent-encoded.
        :param seconds: total time, from connecting to the last byte.
        :param fresh: use a new connection instead of an idle one.
        :param max_bytes: limit of this response's body; None: the transport's own.
        :raises NotConnected: there was no connection to send it over.
        :raises TimeoutError: the response was not complete in time.
        :raises OSError: the connection failed or closed before the headers were complete.
        :raises ResponseError: the response is not valid HTTP, or its body is incomplete.
        """

    async def close(self) -> None:
        """Close all connections."""


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
