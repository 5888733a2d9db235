"""Connections are reused between downloads if all their responses were read, and only then."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from support.private_ca import private_ca
from support.proxy_server import ProxyServer
from support.raw_server import (  # noqa: F401
    RawServer,
    Request,
    certificate,
    drip,
    flood,
    hang_up,
    http,
    plain_network,
    raw_server,
)

from mulequeue.errors import DownloadError
from mulequeue.net.address_guard import AddressGuard, AddressRefused
from mulequeue.net.session_pool import SessionPool
from mulequeue.settings import Settings
from mulequeue.transfer.asset_stream import asset_chunks
from mulequeue.transfer.control import TransferControl

pytestmark = pytest.mark.usefixtures("plain_network")

OPEN, STRICT = AddressGuard(allow_private=True), AddressGuard()
ASSET = http("200 OK", b"\x89PNG" * 5000)


def fetch(url: str, **limits: Any) -> bytes:
    """Read a whole asset as ``download`` does."""
    settings = Settings(allow_private_addresses=True, **limits)
    with asset_chunks(url, settings=settings, control=TransferControl()) as chunks:
        return b"".join(chunks)


def use(kept: SessionPool, url: str, guard: AddressGuard = OPEN) -> None:
    """Send one request and read the response completely."""
    with kept.borrow(url, guard) as session, session.get(url, timeout=5) as response:
        response.raw.read()
        session.was_read = True


# Used again


def test_assets_of_one_host_share_a_connection() -> None:
    """Downloads one after the other use one connection."""
    with raw_server(ASSET) as server:
        assert 3 == len([fetch(f"{server.url}/{n}") for n in range(3)])

    assert (1, 3) == (server.connections, len(server.requests))


def test_one_handshake_serves_many_assets(tmp_path: Path, monkeypatch: Any) -> None:
    """The same holds with TLS; a redirect to another host keeps both connections open."""
    context, bundle = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with raw_server(ASSET, tls=context) as assets:
        moved = http("302 Found", Location=f"https://127.0.0.1:{assets.port}/there")
        with raw_server(moved, tls=context) as front:
            for _ in range(3):
                fetch(f"https://127.0.0.1:{front.port}/")

    assert [(1, 3), (1, 3)] == [(one.connections, len(one.requests)) for one in (front, assets)]


def test_one_tunnel_serves_many_assets(tmp_path: Path, monkeypatch: Any) -> None:
    """A tunnel through a proxy is reused like any other connection."""
    ca = private_ca(tmp_path, "assets.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.bundle))
    with (
        raw_server(ASSET, tls=ca.context) as server,
        ProxyServer({"assets.test:443": server.port}) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        for _ in range(3):
            fetch("https://assets.test/")

    assert ["CONNECT assets.test:443"] == proxy.targets
    assert (1, 3) == (server.connections, len(server.requests))


def test_threads_never_share_a_connection_at_once() -> None:
    """Eight threads receive their own assets, over at most eight connections."""

    def answer(connection: socket.socket, request: Request, state: RawServer) -> None:
        connection.sendall(http("200 OK", request.line.encode() * 3000))

    with raw_server(answer) as server, ThreadPoolExecutor(8) as pool:
        paths = [f"/{number}" for number in range(200)]
        found = list(pool.map(lambda path: fetch(server.url + path), paths))

    assert [f"GET {path} HTTP/1.1".encode() * 3000 for path in paths] == found
    assert 8 >= server.connections


# Not used again


def slow_end(connection: socket.socket, request: Request, state: RawServer) -> None:
    drip(b"HTTP/1.1 200 OK\r\n\r\n")(connection, request, state)  # type: ignore[operator]


def broken(connection: socket.socket, request: Request, state: RawServer) -> None:
    connection.sendall(ASSET[:-1])
    raise ConnectionAbortedError


UNUSABLE: dict[str, Any] = {
    "cut by the deadline": slow_end,
    "broken off": broken,
    "too large": http("200 OK", b" " * 3_000_000),
    "too large, not announced": flood(b"HTTP/1.1 200 OK\r\n\r\n"),
    "an error": http("503 Away", b"sorry" * 1000),
}


@pytest.mark.parametrize("first", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_was_not_read_to_its_end_is_not_used_again(first: Any) -> None:
    """A failed transfer leaves no connection; the next one receives its own bytes."""

    def answer(connection: socket.socket, request: Request, state: RawServer) -> None:
        if "/bad" not in request.line:
            connection.sendall(ASSET)
        elif isinstance(first, bytes):
            connection.sendall(first)
        else:
            first(connection, request, state)

    with raw_server(answer) as server:
        assert ASSET.endswith(fetch(server.url))
        with pytest.raises(DownloadError):
            fetch(f"{server.url}/bad", download_timeout_seconds=0.4, download_max_bytes=2_000_000)
        assert ASSET.endswith(fetch(server.url))

    assert (2, 3) == (server.connections, len(server.requests))


def test_a_consumer_that_stops_early_leaves_no_connection() -> None:
    """Bytes that one reader leaves unread are never read by the next one."""
    settings = Settings(allow_private_addresses=True)
    body = http("200 OK", b" " * 9_000_000)
    with raw_server(body) as server:
        for _ in range(2):
            with asset_chunks(server.url, settings=settings, control=TransferControl()) as chunks:
                next(chunks)

    assert 2 == server.connections


def test_a_connection_that_the_server_closes_is_replaced() -> None:
    """A connection that the server closes, idle or when it is reused, costs no attempt."""
    closing = http("200 OK", b"png", Connection="close")
    with raw_server(closing) as server:
        assert [b"png"] * 2 == [fetch(server.url) for _ in range(2)]
    assert (2, 2) == (server.connections, len(server.requests))

    def once(connection: socket.socket, request: Request, state: RawServer) -> None:
        connection.sendall(ASSET)
        raise ConnectionAbortedError  # ends it, after an answer that did not say so

    with raw_server(once) as server:
        fetch(server.url)
        assert server.ended.wait(10)
        fetch(server.url)
    assert (2, 2) == (server.connections, len(server.requests))

    served: set[socket.socket] = set()

    def vanishing(connection: socket.socket, request: Request, state: RawServer) -> None:
        if connection in served:
            hang_up(connection, request, state)
        served.add(connection)
        connection.sendall(ASSET)

    with raw_server(vanishing) as server:
        assert 2 == len([fetch(server.url) for _ in range(2)])
    assert (2, 3) == (server.connections, len(server.requests))


# At rest


def test_a_connection_idle_for_too_long_is_closed() -> None:
    """A connection that is idle for too long is closed."""
    kept = SessionPool(idle_seconds=0.05)
    with raw_server(ASSET) as server:
        use(kept, server.url)

        assert server.ended.wait(10)


def test_the_number_of_idle_connections_is_limited() -> None:
    """One idle session too many closes the oldest."""
    kept = SessionPool(max_idle=2)
    with raw_server(ASSET) as server:

        def use_at_once(count: int) -> None:
            with ExitStack() as stack:
                for _ in range(count):
                    session = stack.enter_context(kept.borrow(server.url, OPEN))
                    session.get(server.url, timeout=5).raw.read()
                    session.was_read = True

        use_at_once(3)
        assert server.ended.wait(10)
        use_at_once(3)

    assert 4 == server.connections


def test_a_stricter_guard_gets_no_open_connection(tmp_path: Path, monkeypatch: Any) -> None:
    """A stricter guard rejects the URL although a connection to its host is open."""
    context, bundle = certificate(tmp_path, name="DNS:localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    kept = SessionPool()
    with raw_server(ASSET, tls=context) as server:
        url = f"https://localhost:{server.port}/"
        use(kept, url)
        with pytest.raises(AddressRefused):
            use(kept, url, STRICT)
        use(kept, url)

    assert (2, 2) == (server.connections, len(server.requests))


def test_a_changed_environment_gets_no_open_connection(tmp_path: Path, monkeypatch: Any) -> None:
    """A proxy or CA bundle that is set between two downloads applies to the second one."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    context, bundle = certificate(tmp_path / "one")
    _, other = certificate(tmp_path / "other")
    kept = SessionPool()
    with raw_server(ASSET, tls=context) as server, raw_server(http("503 No")) as proxy:
        url = f"https://127.0.0.1:{server.port}/"
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        use(kept, url)
        monkeypatch.setenv("SSL_CERT_FILE", str(other))
        with pytest.raises(requests.exceptions.SSLError):
            use(kept, url)
        # The same file, renewed.
        shutil.copy(bundle, other)
        use(kept, url)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(requests.exceptions.ProxyError):
            use(kept, url)

    assert 2 == len(server.requests)
    assert 1 == proxy.connections


FORKING = """
    import os, sys
    from mulequeue.errors import DownloadError
    from mulequeue.settings import Settings
    from mulequeue.transfer.asset_stream import asset_chunks
    from mulequeue.transfer.control import TransferControl

    def fetch(path, seconds=30):
        settings = Settings(allow_private_addresses=True, download_timeout_seconds=seconds)
        with asset_chunks(sys.argv[1] + path, settings=settings, control=TransferControl()) as chunks:
            return b"".join(chunks)

    fetch("/parent")
    if (child := os.fork()) == 0:
        fetch("/child")
        try:
            fetch("/drip", 0.3)
        except DownloadError:
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    fetch("/parent")
"""


def test_a_forked_process_has_connections_and_deadlines_of_its_own() -> None:
    """A forked process does not use its parent's connection, and leaves it open."""

    def answer(connection: socket.socket, request: Request, state: RawServer) -> None:
        used.append((request.line.split()[1], connection))
        if "/drip" in request.line:
            drip(b"HTTP/1.1 200 OK\r\n\r\n")(connection, request, state)  # type: ignore[operator]
        connection.sendall(ASSET)

    used: list[tuple[str, socket.socket]] = []
    with raw_server(answer) as server:
        command = [sys.executable, "-c", textwrap.dedent(FORKING), server.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert 0 == done.returncode, done.stderr
    assert ["/parent", "/child", "/drip", "/parent"] == [path for path, _ in used]
    assert used[0][1] is used[3][1] is not used[1][1]
