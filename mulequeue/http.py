"""The one place for HTTP sessions: proxies, CA bundles, User-Agent, the address guard.

Two stacks under one set of rules. aiohttp talks to the API (one status check costs a tenth of the
CPU it costs with requests); requests moves assets and notifications, on any worker pool.
Both obey ``HTTP(S)_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, and ``REQUESTS_CA_BUNDLE``,
``CURL_CA_BUNDLE`` or ``SSL_CERT_FILE``. Both always verify TLS, keep no cookies, follow no
redirects by themselves and never read ``.netrc``.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import Any

import aiohttp
import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from mulequeue.addresses import AddressGuard, AddressRefused, guard_for
from mulequeue.errors import ConfigurationError
from mulequeue.settings import Settings

__all__ = [
    "COMMON_HEADERS",
    "CONNECT_TIMEOUT_SECONDS",
    "USER_AGENT",
    "AddressGuard",
    "AddressRefused",
    "FreshConnector",
    "TooLate",
    "TransferSession",
    "api_session",
    "ca_bundle",
    "described",
    "fresh_session",
    "guard_for",
    "proxy_for",
    "requests_session",
    "ssl_context",
]

# The edge in front of the API blocks Python's stock User-Agent, so it is always set.
USER_AGENT = f"mulequeue/{version('mulequeue')}"
# An answer is decompressed by hand, so that its size is capped after that too.
COMMON_HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
CONNECT_TIMEOUT_SECONDS = 15.0
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def proxy_for(url: str) -> str | None:
    """The proxy the environment names for a URL, or None."""
    proxy = select_proxy(url, get_environ_proxies(url))
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    return proxy or None


def ca_bundle() -> str:
    """Path of the CA bundle (a file or a folder) that both stacks verify with.

    :raises ConfigurationError: the environment names one that does not exist.
    """
    for variable in _CA_VARIABLES:
        path = os.environ.get(variable)
        if path:
            if not os.path.exists(path):
                raise ConfigurationError(
                    f"{variable} names {path!r}, which does not exist. "
                    "Point it to a CA bundle, or unset it."
                )
            return path
    return DEFAULT_CA_BUNDLE_PATH


def api_session(settings: Settings, *, limit: int) -> aiohttp.ClientSession:
    """A keep-alive session for status checks; to be made and closed inside the running loop.

    :param limit: most connections at once.
    """
    connector = aiohttp.TCPConnector(
        limit=limit,
        ssl=ssl_context(ca_bundle()),
        resolver=aiohttp.ThreadedResolver(),
        keepalive_timeout=60,
    )
    return _session(connector)


def fresh_session(connector: FreshConnector) -> aiohttp.ClientSession:
    """A session for one request on a connection of its own."""
    return _session(connector)


class TooLate(Exception):
    """The connection is up, but the request may not be sent any more."""


class FreshConnector(aiohttp.TCPConnector):
    """Connects for one request and tells whether it ever had a connection."""

    def __init__(self, before_request: Callable[[], None]) -> None:
        super().__init__(
            limit=1,
            force_close=True,
            ssl=ssl_context(ca_bundle()),
            resolver=aiohttp.ThreadedResolver(),
        )
        self._before_request = before_request
        self.connected = False
        """True from the moment on at which bytes of the request may have left."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Connect (DNS, TCP, proxy, TLS), then ask a last time whether to send."""
        if self.connected:
            raise TooLate("this connector is for one request")
        connection = await super().connect(*args, **kwargs)
        try:
            self._before_request()
        except BaseException:
            connection.close()
            raise
        self.connected = True
        return connection


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        # trust_env would read .netrc and start a thread per request; proxy_for does its useful part.
        trust_env=False,
        auto_decompress=False,
        headers=COMMON_HEADERS,
    )


@lru_cache(maxsize=8)  # loading the bundle takes some 20 ms, too much for every submit
def ssl_context(bundle: str) -> ssl.SSLContext:
    """Verifies servers with a CA bundle (a file or a folder)."""
    if os.path.isdir(bundle):
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)


def requests_session(settings: Settings, *, guard: AddressGuard) -> TransferSession:
    """A session for one asset or one notification, redirects included."""
    return TransferSession(guard)


class TransferSession(requests.Session):
    """A requests session that goes only where its guard allows and can be cut off in time."""

    def __init__(self, guard: AddressGuard) -> None:
        super().__init__()
        self.guard = guard
        self.was_cut = False
        self._lines: list[socket.socket] = []
        self.trust_env = False  # it would read .netrc; proxies and CA bundle are set here
        self.verify = ca_bundle()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.clear()
        self.headers.update({"User-Agent": USER_AGENT, "Accept": "*/*"})
        for scheme in ("http://", "https://"):
            self.mount(scheme, _GuardedAdapter(self))

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """One request, its body not read yet; a redirect is an answer like any other.

        :raises AddressRefused: before any byte of the request is sent.
        """
        self.guard.check_url(url)
        proxy = proxy_for(url)
        if proxy is not None:  # the peer will be the proxy, so the name has to be looked up here
            self.guard.check_url(url, resolve=True)
        # "no_proxy" set to nothing would be read from the environment again.
        kwargs["proxies"] = {"all": proxy} if proxy else {}
        kwargs.update(allow_redirects=False, stream=True)
        response = super().request(method, url, *args, **kwargs)
        if self.was_cut:  # the standard library takes headers that end early for all of them
            response.close()
            raise requests.exceptions.ReadTimeout("cut before the headers were complete")
        return response

    def joined(self, sock: socket.socket, host: str, *, is_proxy: bool) -> None:
        """Check a connection that was just made, and remember its line for :meth:`cut`."""
        if not is_proxy:
            self.guard.check_address(sock.getpeername()[0], host)
        # A duplicate, since TLS takes the original socket over.
        self._lines.append(socket.socket(fileno=os.dup(sock.fileno())))
        if self.was_cut:
            self.cut()

    def cut(self) -> None:
        """End every connection now, whatever it is waiting for; safe from another thread."""
        self.was_cut = True
        for line in list(self._lines):
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:  # already gone
                continue

    @contextmanager
    def total_deadline(self, seconds: float) -> Iterator[None]:
        """Cut the session after ``seconds``: a timeout of requests starts anew with every byte."""
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def close(self) -> None:
        super().close()
        while self._lines:
            self._lines.pop().close()


def described(exc: Exception) -> str:
    """An exception of requests in one line, without the URL's path and query (they may be secret)."""
    if isinstance(exc, requests.exceptions.Timeout):
        return "no answer in time"
    inner: Any = exc
    while (
        deeper := getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)
    ) and (isinstance(deeper, Exception)):
        inner = deeper
    text = f"{type(inner).__name__}: {inner}"
    if isinstance(exc, requests.exceptions.SSLError):
        text += " (REQUESTS_CA_BUNDLE or SSL_CERT_FILE name a CA bundle)"
    return text[:300]


class _GuardedAdapter(HTTPAdapter):
    """Makes connections that report to their session before a byte is sent."""

    def __init__(self, session: TransferSession) -> None:
        self._classes = _pool_classes(session)
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._classes
        return manager


def _pool_classes(session: TransferSession) -> dict[str, Any]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _joined(session, self, super()._new_conn())

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _joined(session, self, super()._new_conn())

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _joined(session: TransferSession, connection: Any, sock: socket.socket) -> socket.socket:
    try:
        session.joined(sock, connection.host, is_proxy=connection.proxy is not None)
    except BaseException:
        sock.close()
        raise
    return sock
