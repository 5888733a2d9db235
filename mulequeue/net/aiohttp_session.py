"""aiohttp for status checks through a proxy: sessions, responses, and errors."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp

from mulequeue.net.raw_response import MAX_HEAD_BYTES, RawResponse, ResponseError
from mulequeue.net.status_transport import NotConnected, ProxyError


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


async def receive(incoming: aiohttp.ClientResponse, *, max_bytes: int) -> RawResponse:
    """Return the response with up to ``max_bytes`` of its body."""
    response = RawResponse(status=incoming.status, raw_headers=incoming.raw_headers)
    response.encoding = incoming.headers.get("Content-Encoding")
    content = incoming.content
    while not content.at_eof():
        response.append(await content.readany())
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
