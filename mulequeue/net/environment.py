"""Read proxies and CA bundles from the environment; the rules are the same for all connections.

Our own connections talk to the API (:mod:`mulequeue.net.connection`): a status check takes a tenth of the
CPU time that it takes with requests. requests transfers assets and notifications, on any worker pool
(:mod:`mulequeue.net.guarded_session`).
All obey ``HTTP(S)_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, and ``REQUESTS_CA_BUNDLE``,
``CURL_CA_BUNDLE`` or ``SSL_CERT_FILE``. All verify TLS with the same context (:func:`tls_context`),
keep no cookies, follow redirects only where the caller does, and never read ``.netrc``.
"""

from __future__ import annotations

import os
import ssl
import urllib.request
from functools import lru_cache
from importlib.metadata import version

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

from mulequeue.errors import ConfigurationError

# The edge in front of the API blocks Python's stock User-Agent, so it is always set.
USER_AGENT = f"mulequeue/{version('mulequeue')}"
COMMON_HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
CONNECT_TIMEOUT_SECONDS = 15.0
_PROXY_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# REQUEST_METHOD: in a CGI script "HTTP_PROXY" is a header of the request, so it is ignored.
_PROXY_VARIABLES = (*_PROXY_NAMES, *map(str.upper, _PROXY_NAMES), "REQUEST_METHOD")
# On macOS and Windows the system's settings name proxies as well.
_ENVIRONMENT_ONLY = urllib.request.getproxies is urllib.request.getproxies_environment
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy that the environment names for a URL, or None."""
    origin = "/".join(url.split("/", 3)[:3])
    if not _ENVIRONMENT_ONLY:
        return _find_proxy(origin)
    return _cached_proxy(origin, tuple(map(os.environ.get, _PROXY_VARIABLES)))


def _find_proxy(origin: str) -> str | None:
    proxy = select_proxy(origin, get_environ_proxies(origin))
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    return proxy or None


@lru_cache(maxsize=64)  # 0.01 ms; reading the whole environment takes 0.1 ms or more
def _cached_proxy(origin: str, variables: tuple[str | None, ...]) -> str | None:
    return _find_proxy(origin)


def ca_bundle() -> str:
    """Return the path of the CA bundle (a file or a folder) that all connections verify with.

    :raises ConfigurationError: the environment names a path that does not exist.
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


def tls_context(bundle: str) -> ssl.SSLContext:
    """Return the context that verifies servers and proxies; a changed bundle is read again.

    These rules replace the defaults, which differ between Python versions and HTTP libraries.
    The chain leads to a certificate in the bundle, each certificate on it is valid today, and the
    server's certificate lists the host in ``subjectAltName``.
    """
    return _load_context(bundle, os.stat(bundle).st_mtime_ns)


@lru_cache(maxsize=8)  # loading takes some 20 ms, too much for every submit
def _load_context(bundle: str, changed_ns: int) -> ssl.SSLContext:
    file, folder = (None, bundle) if os.path.isdir(bundle) else (bundle, None)
    context = ssl.create_default_context(cafile=file, capath=folder)
    # From 3.13 on, Python rejects a CA without the extensions that RFC 5280 asks for, such as
    # keyUsage. Many private CAs lack them. Signatures, dates, names and CA:TRUE are checked anyway.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # From 3.13 on, Python trusts an intermediate CA in the bundle without its root, as curl does.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # requests never matches the host with the certificate's common name; Python does by default.
    context.hostname_checks_common_name = False
    return context
