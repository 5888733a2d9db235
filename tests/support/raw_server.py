"""A server that answers byte for byte what a test wants, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Request:
    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class RawServer:
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    connected: threading.Event = field(default_factory=threading.Event)
    first_bytes: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when the client has closed its first connection."""
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


Answer = bytes | Callable[[socket.socket, Request, RawServer], None]


@contextlib.contextmanager
def raw_server(
    answer: Answer, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[RawServer]:
    """Serve ``answer`` (bytes, or a function that writes them) to every request."""
    state = RawServer()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            state.connections += 1
            state.connected.set()
            connection = self.request
            try:
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                while (request := read_request(connection, state)) is not None:
                    state.requests.append(request)
                    if isinstance(answer, bytes):
                        connection.sendall(answer)
                    else:
                        answer(connection, request, state)
            except (OSError, ValueError):
                pass  # the client went away, or would not shake hands
            finally:
                with contextlib.suppress(OSError):
                    connection.close()
                state.ended.set()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    with Server((host, 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.stopping.set()
            server.shutdown()
            thread.join()


def read_request(connection: socket.socket, state: RawServer) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return None
        state.first_bytes.set()
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rows = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (r.partition(":") for r in rows)}
    while len(body) < int(headers.get("content-length", 0)):
        part = connection.recv(65536)
        if not part:
            return None
        body += part
    return Request(line, headers, body)


def http(status: str, body: bytes | str = b"", **headers: str) -> bytes:
    """An HTTP/1.1 answer; ``Retry_After="3"`` becomes the header ``Retry-After``."""
    data = body.encode() if isinstance(body, str) else body
    given = {"Content-Length": str(len(data)), "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    rows = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
    return f"HTTP/1.1 {status}\r\n{rows}\r\n".encode() + data


def hang_up(connection: socket.socket, request: Request, state: RawServer) -> None:
    """Read the request, then close without a word."""
    raise ConnectionAbortedError


def say_and_close(data: bytes) -> Answer:
    """Answer with ``data``, then close, whatever it says of its own length."""

    def answer(connection: socket.socket, request: Request, state: RawServer) -> None:
        connection.sendall(data)
        raise ConnectionAbortedError

    return answer


def say_nothing(connection: socket.socket, request: Request, state: RawServer) -> None:
    """Read the request and keep the connection open, silent, until the test ends."""
    state.stopping.wait(30)
    raise ConnectionAbortedError


def drip(head: bytes) -> Answer:
    """Send ``head``, then one byte every 20 ms for ever: no single read ever times out."""

    def answer(connection: socket.socket, request: Request, state: RawServer) -> None:
        connection.sendall(head)
        while not state.stopping.wait(0.02):
            connection.sendall(b" ")

    return answer


def flood(head: bytes, chunk: bytes = b" " * 65536, *, chunks: int = 100_000) -> Answer:
    """Send ``head``, then ``chunk`` over and over, as long as the client takes it."""

    def answer(connection: socket.socket, request: Request, state: RawServer) -> None:
        connection.sendall(head)
        for _ in range(chunks):
            connection.sendall(chunk)

    return answer


def certificate(folder: Path, name: str = "IP:127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """A server context for 127.0.0.1, or another name, and the CA bundle that trusts it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: apt install openssl")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {key} -out {cert}"
    names = ["-subj", "/CN=127.0.0.1", "-addext", f"subjectAltName={name}"]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


@pytest.fixture
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxies and CA bundles of the machine the tests run on."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
