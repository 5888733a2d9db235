"""HTTP sessions of downloads and notifications: guarded against SSRF, with a total deadline.

A session sends one request at a time, to one host. The guard checks a connection once, when it is
established; later requests may reuse it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from mulequeue.net.address_guard import AddressGuard
from mulequeue.net.environment import USER_AGENT, ca_bundle, proxy_for, tls_context
from mulequeue.net.timers import deadlines

Timeout = float | tuple[float, float]
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "*/*"}


class TransferSession:
    """A session that connects only to addresses its guard allows and that can be aborted.

    It uses the adapter of requests without :class:`requests.Session`, so it keeps no cookies, follows no
    redirects, and does not read ``.netrc``.

    :param guard: checks every URL, and the peer of every direct connection before a byte is sent to it. Through
        a proxy, the addresses of the URL's host are checked instead.
    """

    def __init__(self, guard: AddressGuard) -> None:
        self.guard = guard
        self.was_aborted = False
        self.was_read = False
        """Set by the caller: the last response was read completely, so the connection may carry another request."""
        self._socket: socket.socket | None = None
        self._connection: Any = None
        self._connections_made = 0
        self.bundle = ca_bundle()
        """Path of the CA bundle, which does not change during the session."""
        self._adapter = _GuardedAdapter(self)

    @property
    def is_reusable(self) -> bool:
        """Return whether the connection is open and its last response was read completely."""
        return self._is_open() and self.was_read and not self.was_aborted

    def _is_open(self) -> bool:
        return self._connection is not None and self._connection.sock is not None

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout: Timeout
    ) -> requests.Response:
        """Send a GET request as :meth:`post` does. Repeat it once if the reused connection fails."""
        was_open, before = self._is_open(), self._connections_made
        try:
            return self._send("GET", url, None, headers or {}, timeout)
        except requests.exceptions.ConnectionError:
            if not was_open or self._connections_made != before or self.was_aborted:
                raise
            return self._send("GET", url, None, headers or {}, timeout)

    def post(
        self, url: str, *, data: bytes, headers: Mapping[str, str], timeout: Timeout
    ) -> requests.Response:
        """Send a POST request and return the response. Its body is not read, and no redirect is followed.

        :param timeout: seconds to connect, and seconds between two bytes: one number for both, or a pair.
        :raises AddressRefused: the URL or its address is rejected; no byte of the request was sent.
        :raises requests.RequestException: no complete response head was received.
        """
        return self._send("POST", url, data, headers, timeout)

    def _send(
        self,
        method: str,
        url: str,
        data: bytes | None,
        headers: Mapping[str, str],
        timeout: Timeout,
    ) -> requests.Response:
        self.guard.check_url(url)
        request = requests.Request(
            method, url, data=data, headers={**_HEADERS, **headers}
        ).prepare()
        self.was_read = False
        url = request.url or ""
        proxy = proxy_for(url)
        if proxy is not None:  # the peer is the proxy, so the host's addresses are checked here
            self.guard.check_url(url, resolve=True)
        response = self._adapter.send(
            request,
            stream=True,
            timeout=timeout,
            verify=self.bundle,
            proxies={"all": proxy} if proxy else {},
        )
        if self.was_aborted:  # http.client treats headers that were cut off as complete
            response.close()
            raise requests.exceptions.ReadTimeout("aborted before the headers were complete")
        return response

    def check_connection(self, sock: socket.socket, connection: Any) -> None:
        """Check the peer of a new connection, and keep its socket for :meth:`abort`."""
        if connection.proxy is None:
            self.guard.check_address(sock.getpeername()[0], connection.host)
        # A duplicate, because TLS detaches the original socket.
        duplicate, old = socket.socket(fileno=os.dup(sock.fileno())), self._socket
        self._socket, self._connection = duplicate, connection
        self._connections_made += 1
        if old is not None:
            old.close()
        if self.was_aborted:
            self.abort()

    def abort(self) -> None:
        """Shut the connection down immediately; may be called from another thread."""
        self.was_aborted = True
        sock = self._socket
        if sock is not None:
            with suppress(OSError):  # already closed
                sock.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def total_deadline(self, seconds: float) -> Iterator[None]:
        """Abort the session after ``seconds``. (The timeout of requests restarts with every byte.)"""
        timer = deadlines.after(seconds, self.abort)
        try:
            yield
        finally:
            if not deadlines.cancel(timer):
                self.was_aborted = True  # the timer is due, though possibly not called yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._adapter.close()
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()


def describe(exc: Exception) -> str:
    """Describe an exception of requests in one line, without the URL's path and query, which may be secret."""
    if isinstance(exc, requests.exceptions.Timeout):
        return "no response in time"
    inner: Any = exc
    while isinstance(
        deeper := getattr(inner, "reason", None) or next(iter(inner.args), None), Exception
    ):
        inner = deeper
    text = f"{type(inner).__name__}: {inner}"
    if isinstance(exc, requests.exceptions.SSLError):
        text += " (REQUESTS_CA_BUNDLE or SSL_CERT_FILE name a CA bundle)"
    return text[:300]


class _GuardedAdapter(HTTPAdapter):
    """An adapter whose new connections are checked by the session before a byte is sent."""

    def __init__(self, session: TransferSession) -> None:
        self._session, self._classes = session, _pool_classes(session)
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        url = super().request_url(request, proxies)
        # requests before 2.34 removes a slash from a path that begins with two.
        return request.path_url if url.startswith("/") else url

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("socks"):
            return super().proxy_manager_for(proxy, **kwargs)
        context = tls_context(self._session.bundle)
        manager = super().proxy_manager_for(proxy, proxy_ssl_context=context, **kwargs)
        manager.pool_classes_by_scheme = self._classes
        return manager


def _pool_classes(session: TransferSession) -> dict[str, Any]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _check_socket(session, self, super()._new_conn())

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            # By itself, requests would not verify a TLS proxy for http URLs, and would load the bundle each time.
            self.ssl_context, self.cert_reqs = tls_context(session.bundle), "CERT_REQUIRED"
            self.ca_certs = self.ca_cert_dir = None
            super().connect()

        def _new_conn(self) -> socket.socket:
            return _check_socket(session, self, super()._new_conn())

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _check_socket(session: TransferSession, connection: Any, sock: socket.socket) -> socket.socket:
    try:
        session.check_connection(sock, connection)
    except BaseException:
        sock.close()
        raise
    return sock
