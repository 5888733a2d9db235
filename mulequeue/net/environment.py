"""What all HTTP sessions obey: proxies, CA bundles, User-Agent; and those that talk to the API.

Two stacks under one set of rules. aiohttp talks to the API (one status check costs a tenth of the
CPU it costs with requests); requests moves assets and notifications, on any worker pool, in
sessions of its own (:mod:`mulequeue.net.guarded_session`).
Both obey ``HTTP(S)_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, and ``REQUESTS_CA_BUNDLE``,
``CURL_CA_BUNDLE`` or ``SSL_CERT_FILE``. Both always verify TLS, with the same context
(:func:`tls_context`), keep no cookies, follow no redirects by themselves and never read ``.netrc``.
"""

from __future__ import annotations

import os
import ssl
import urllib.request
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import aiohttp
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

from mulequeue.errors import ConfigurationError
from mulequeue.settings import Settings

__all__ = [
    "COMMON_HEADERS",
    "CONNECT_TIMEOUT_SECONDS",
    "USER_AGENT",
    "FreshConnector",
    "TooLate",
    "api_session",
    "ca_bundle",
    "fresh_session",
    "proxy_for",
    "tls_context",
]

# The edge in front of the API blocks Python's stock User-Agent, so it is always set.
USER_AGENT = f"mulequeue/{version('mulequeue')}"
# An answer is decompressed by hand, so that its size is capped after that too.
COMMON_HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
CONNECT_TIMEOUT_SECONDS = 15.0
_PROXY_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# REQUEST_METHOD: in a CGI script "HTTP_PROXY" is a header of the request, and is not obeyed.
_PROXY_VARIABLES = (*_PROXY_NAMES, *map(str.upper, _PROXY_NAMES), "REQUEST_METHOD")
# macOS and Windows have settings of the system besides.
_ENVIRONMENT_ONLY = urllib.request.getproxies is urllib.request.getproxies_environment
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def proxy_for(url: str) -> str | None:
    """The proxy the environment names for a URL, or None."""
    origin = "/".join(url.split("/", 3)[:3])
    if not _ENVIRONMENT_ONLY:
        return _proxy(origin)
    return _known_proxy(origin, tuple(map(os.environ.get, _PROXY_VARIABLES)))


def _proxy(origin: str) -> str | None:
    proxy = select_proxy(origin, get_environ_proxies(origin))
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    return proxy or None


@lru_cache(maxsize=64)  # 0.01 ms; reading the whole environment anew takes 0.1 ms and more
def _known_proxy(origin: str, variables: tuple[str | None, ...]) -> str | None:
    return _proxy(origin)


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
        ssl=tls_context(ca_bundle()),
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
            ssl=tls_context(ca_bundle()),
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


def tls_context(bundle: str) -> ssl.SSLContext:
    """Return the context that verifies servers and proxies; the bundle is read again when it changed.

    The defaults differ between Python versions and HTTP libraries; the same rules replace them all.
    The chain leads to a certificate in the bundle, each certificate on it is valid today, and the
    server's certificate lists the host in ``subjectAltName``.

    :param bundle: a file or a folder, see :func:`ca_bundle`.
    """
    return _loaded(bundle, os.stat(bundle).st_mtime_ns)


@lru_cache(maxsize=8)  # loading takes some 20 ms, too much for every submit
def _loaded(bundle: str, changed_ns: int) -> ssl.SSLContext:
    if os.path.isdir(bundle):
        context = ssl.create_default_context(capath=bundle)
    else:
        context = ssl.create_default_context(cafile=bundle)
    # From 3.13 on, Python rejects a CA without the extensions that RFC 5280 asks for, such as
    # keyUsage. Many private CAs lack them. Signatures, dates, names and CA:TRUE are checked anyway.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # From 3.13 on, Python trusts an intermediate CA in the bundle without its root, as curl does.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # requests never matches the host with the certificate's common name; Python does by default.
    context.hostname_checks_common_name = False
    return context
