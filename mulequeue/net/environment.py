"""Read proxies and CA bundles from the environment; the rules are the same for all connections.

Requests to the API use :mod:`mulequeue.net.connection`, because a status check takes a tenth of the CPU time
that it takes with the library requests. Assets and notifications are transferred with requests, which works on
any worker pool (:mod:`mulequeue.net.guarded_session`).
All connections obey ``HTTP(S)_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, and ``REQUESTS_CA_BUNDLE``,
``CURL_CA_BUNDLE`` or ``SSL_CERT_FILE``. All verify TLS with the same context (:func:`tls_context`),
keep no cookies, leave redirects to the caller, and never read ``.netrc``.
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
# If REQUEST_METHOD is set, HTTP_PROXY is ignored: in a CGI script it is the client's header "Proxy".
_PROXY_VARIABLES = (*_PROXY_NAMES, *map(str.upper, _PROXY_NAMES), "REQUEST_METHOD")
# False on macOS and Windows, where the system's settings name proxies as well.
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


@lru_cache(maxsize=64)  # a cached look-up takes 0.01 ms, any other one 0.1 ms or more
def _cached_proxy(origin: str, variables: tuple[str | None, ...]) -> str | None:
    return _find_proxy(origin)


def ca_bundle() -> str:
    """Return the path of the CA bundle (a file or a folder) with which all connections verify TLS.

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

    It replaces the defaults, which differ between Python versions and HTTP libraries. It requires a chain of
    unexpired certificates to a certificate in the bundle, and the host in the ``subjectAltName`` of the server's
    certificate.
    """
    return _load_context(bundle, os.stat(bundle).st_mtime_ns)


@lru_cache(maxsize=8)  # loading a bundle takes some 20 ms, too much for each create request
def _load_context(bundle: str, changed_ns: int) -> ssl.SSLContext:
    file, folder = (None, bundle) if os.path.isdir(bundle) else (bundle, None)
    context = ssl.create_default_context(cafile=file, capath=folder)
    # From 3.13 on, Python rejects a CA without the extensions that RFC 5280 requires, such as
    # keyUsage. Many private CAs lack them. Signatures, dates, names and CA:TRUE are still checked.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # From 3.13 on, Python trusts an intermediate CA in the bundle without its root, as curl does.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # As in requests, the certificate's common name does not match a host; by default Python accepts it.
    context.hostname_checks_common_name = False
    return context
