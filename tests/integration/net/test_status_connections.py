"""Status connections: they return the same responses and raise the same errors as aiohttp."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.aiohttp_connections import AiohttpConnections
from support.raw_server import (  # noqa: F401
    RawServer,
    certificate,
    drip,
    flood,
    hang_up,
    http,
    plain_network,
    raw_server,
    say_and_close,
    say_nothing,
)

from mulequeue.net.connection import NotConnected, ProxyError
from mulequeue.net.environment import ca_bundle, tls_context
from mulequeue.net.raw_response import RawResponse, ResponseError
from mulequeue.net.status_connections import StatusConnectionPool

pytestmark = pytest.mark.usefixtures("plain_network")

MAX_BYTES = 1024
HEADERS = {"User-Agent": "mule", "Accept": "application/json", "Accept-Encoding": "gzip"}
BODY = b'{"status": "pending"}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LONG_HEADER = {"X_Long": "x" * 70_000}

Pool = StatusConnectionPool | AiohttpConnections
Connect = Callable[..., Pool]


@pytest.fixture(params=[StatusConnectionPool, AiohttpConnections])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Open each kind of connections to an origin."""

    def connect(origin: str, proxy: str | None = None) -> Pool:
        context = tls_context(ca_bundle())
        found: Pool = request.param(
            origin, HEADERS, ssl_context=context, max_bytes=MAX_BYTES, proxy=proxy
        )
        return found

    return connect


def run(connect: Connect, url: str, use: Callable[[Pool], Awaitable[Any]]) -> Any:
    """Open a pool, use it, and close it."""

    async def main() -> Any:
        pool = connect(url)
        try:
            return await use(pool)
        finally:
            pool.close()
            await asyncio.sleep(0)

    return asyncio.run(main())


def get(connect: Connect, url: str, *targets: str, seconds: float = 5.0) -> list[RawResponse]:
    """Return the responses to one request after the other."""

    async def use(pool: Pool) -> list[RawResponse]:
        return [await pool.get(target, seconds=seconds) for target in targets]

    found: list[RawResponse] = run(connect, url, use)
    return found


def test_a_request_has_the_given_target_and_headers(connect: Connect) -> None:
    """The target is sent as it is, with the pool's headers and the host, and no cookie."""
    with raw_server(http("200 OK", BODY, Set_Cookie="a=b; Path=/")) as server:
        get(connect, server.url, "/a%2Fb/%2E%2E?c=%20d", "/e")

    assert ["GET /a%2Fb/%2E%2E?c=%20d HTTP/1.1", "GET /e HTTP/1.1"] == [
        request.line for request in server.requests
    ]
    expected = {name.lower(): value for name, value in HEADERS.items()}
    for request in server.requests:
        assert expected | {"host": f"127.0.0.1:{server.port}"} == request.headers


RESPONSES = {
    "content-length": (http("200 OK", BODY), 200, BODY),
    "chunked": (CHUNKED + b"8\r\n%s\r\nd\r\n%s\r\n0\r\n\r\n" % (BODY[:8], BODY[8:]), 200, BODY),
    "interim response first": (b"HTTP/1.1 103 Early\r\n\r\n" + http("200 OK", BODY), 200, BODY),
    "empty": (http("200 OK"), 200, b""),
    "headers just small enough": (http("200 OK", BODY, X_Long="x" * 60_000), 200, BODY),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "404": (http("404 Not Found", BODY), 404, BODY),
    "429": (http("429 Too Many Requests", Retry_After="7"), 429, b""),
    "500": (http("500 Internal Server Error", "<html>"), 500, b"<html>"),
    "redirect": (http("302 Found", Location="http://127.0.0.1:9/"), 302, b""),
}


@pytest.mark.parametrize(("answer", "status", "body"), RESPONSES.values(), ids=RESPONSES.keys())
def test_a_response_is_complete_and_keeps_the_connection(
    connect: Connect, answer: bytes, status: int, body: bytes
) -> None:
    """Every framing and every status is a response; the next request uses the same connection."""
    with raw_server(answer) as server:
        first, second = get(connect, server.url, "/a", "/b")

    for found in (first, second):
        assert (status, body, True) == (found.status, found.body, found.is_complete)
    assert (1, 2) == (server.connections, len(server.requests))


@pytest.mark.parametrize(
    "answer",
    [
        http("200 OK", BODY, Connection="close"),
        http("200 OK", BODY).replace(b"HTTP/1.1", b"HTTP/1.0"),
        say_and_close(http("200 OK", BODY, Content_Length="")),
    ],
    ids=["connection: close", "HTTP/1.0", "no length"],
)
def test_a_connection_that_ends_is_not_used_again(connect: Connect, answer: Any) -> None:
    """A response that ends its connection is complete; the next request opens a new one."""
    with raw_server(answer) as server:
        found = get(connect, server.url, "/a", "/b")

    assert [(BODY, True)] * 2 == [(each.body, each.is_complete) for each in found]
    assert 2 == server.connections


def test_headers_are_found_in_any_case(connect: Connect) -> None:
    """Header names ignore case, and repeated headers are joined."""
    with raw_server(http("429 Slow Down", retry_AFTER="7", A="1", a="2")) as server:
        (found,) = get(connect, server.url, "/")

    assert ("7", "1, 2") == (found.headers["Retry-After"], found.headers["A"])


def test_a_compressed_body_is_decoded_on_demand(connect: Connect) -> None:
    """The pool leaves gzip as it is; the response decodes it up to a limit."""
    data = gzip.compress(b" " * 9000)
    with raw_server(http("200 OK", data, Content_Encoding="gzip")) as server:
        (found,) = get(connect, server.url, "/")

    assert data == found.body
    assert b" " * 9000 == found.decode(9000)
    with pytest.raises(ResponseError):
        found.decode(8999)


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
@pytest.mark.parametrize("framing", ["Content-Length: 9999999", "X: no length"])
def test_a_large_body_is_cut_off(connect: Connect, status: str, framing: str) -> None:
    """Of a body beyond the limit only the beginning is kept, and the connection is closed."""
    with raw_server(flood(f"HTTP/1.1 {status}\r\n{framing}\r\n\r\n".encode())) as server:
        first, _ = get(connect, server.url, "/a", "/b")

    assert (int(status[:3]), b" " * MAX_BYTES, False) == (
        first.status,
        first.body,
        first.is_complete,
    )
    assert 2 == server.connections


UNREADABLE = {
    "no HTTP": b"220 mail.example ESMTP\r\n\r\n",
    "garbage": bytes(range(256)),
    "a chunk without a size": CHUNKED + b"no size\r\n\r\n",
    "headers too large": http("200 OK", BODY, **LONG_HEADER),
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "closed in the body": say_and_close(http("200 OK", BODY[:9], Content_Length="90")),
    "closed in a chunk": say_and_close(CHUNKED + b"5\r\nhel"),
    "closed between chunks": say_and_close(CHUNKED + b"3\r\nhel\r\n"),
}


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_response_is_an_error(connect: Connect, answer: Any) -> None:
    """Bytes that are no complete HTTP response raise ResponseError; their connection is closed."""

    async def use(pool: Pool) -> None:
        for _ in range(2):
            with pytest.raises(ResponseError):
                await pool.get("/", seconds=5)

    with raw_server(answer) as server:
        run(connect, server.url, use)

    assert (2, 2) == (server.connections, len(server.requests))


@pytest.mark.parametrize(
    "answer",
    [
        say_nothing,
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: "),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
    ids=["silence", "slow headers", "slow body", "slow body without a length"],
)
def test_the_deadline_is_total(connect: Connect, answer: Any) -> None:
    """A response that is not complete in time raises TimeoutError, even if bytes keep arriving."""

    async def use(pool: Pool) -> None:
        with pytest.raises(TimeoutError):
            await pool.get("/", seconds=0.3)

    with raw_server(answer) as server:
        run(connect, server.url, use)


def test_a_connection_that_is_not_made_in_time_is_told_apart(connect: Connect) -> None:
    """A server that never completes the TLS handshake raises NotConnected at the deadline."""

    async def use(pool: Pool) -> None:
        with pytest.raises(NotConnected):
            await pool.get("/", seconds=0.3)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        run(connect, f"https://127.0.0.1:{silent.getsockname()[1]}", use)


def test_a_request_is_repeated_if_the_idle_connection_was_closed(connect: Connect) -> None:
    """If the server closes a reused connection instead of answering, a new one is used."""
    answered = []

    def answer_once(connection: Any, request: Any, state: RawServer) -> None:
        if connection in answered:
            raise ConnectionAbortedError
        answered.append(connection)
        connection.sendall(http("200 OK", BODY))

    with raw_server(answer_once) as server:
        found = get(connect, server.url, "/a", "/b")

    assert [BODY] * 2 == [each.body for each in found]
    assert ["/a", "/b", "/b"] == [request.line.split()[1] for request in server.requests]


@pytest.mark.parametrize(
    "answer",
    [hang_up, say_and_close(b"HTTP/1.1 20"), say_and_close(b"HTTP/1.1 200 OK\r\nX: y\r\n")],
    ids=["before the response", "in the status line", "in the headers"],
)
def test_a_server_that_closes_without_a_response_is_an_os_error(
    connect: Connect, answer: Any
) -> None:
    """If each connection closes before the headers are complete, that is an OSError."""
    with (
        raw_server(answer) as server,
        pytest.raises(OSError, match=r"closed|disconnected|reset") as caught,
    ):
        get(connect, server.url, "/a")

    assert not isinstance(caught.value, NotConnected)
    assert len(server.requests) <= 2


def test_a_fresh_request_uses_a_new_connection(connect: Connect) -> None:
    """With ``fresh`` an idle connection is not reused."""

    async def use(pool: Pool) -> None:
        await pool.get("/a", seconds=5)
        await pool.get("/b", seconds=5, fresh=True)

    with raw_server(http("200 OK", BODY)) as server:
        run(connect, server.url, use)

    assert 2 == server.connections


# -- no connection -------------------------------------------------------------------------


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """A port that nothing listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_refused_connection_is_told_apart(connect: Connect, refusing_port: int) -> None:
    """A port without a server raises NotConnected at once."""
    with pytest.raises(NotConnected, match="Connect call failed"):
        get(connect, f"http://127.0.0.1:{refusing_port}", "/")


def test_an_unknown_host_is_told_apart(connect: Connect) -> None:
    """A name without an address raises NotConnected."""
    with pytest.raises(NotConnected, match=r"not known|resol"):
        get(connect, "http://nowhere.invalid", "/")


def test_tls_is_verified(connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown CA raises NotConnected before the request is sent; a CA in the bundle is accepted."""
    context, bundle = certificate(tmp_path)
    with raw_server(http("200 OK", BODY), tls=context) as server:
        url = f"https://127.0.0.1:{server.port}"
        with pytest.raises(NotConnected) as caught:
            get(connect, url, "/refused")
        assert isinstance(caught.value.__cause__, ssl.SSLError)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        found = get(connect, url, "/a", "/b")

    assert [BODY] * 2 == [each.body for each in found]
    assert ["/a", "/b"] == [request.line.split()[1] for request in server.requests]
    assert 2 == server.connections


def test_a_proxy_that_refuses_is_named(connect: Connect) -> None:
    """A proxy that answers CONNECT with an error raises ProxyError with its status."""
    with (
        raw_server(http("407 Proxy Authentication Required")) as proxy,
        pytest.raises(ProxyError) as caught,
    ):
        get(lambda origin: connect(origin, proxy.url), "https://api.test", "/")

    assert 407 == caught.value.status
