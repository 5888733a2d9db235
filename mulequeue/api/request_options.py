"""Build the URL and the headers of a request to the API."""

from __future__ import annotations

import ssl
from functools import lru_cache
from urllib.parse import quote

from yarl import URL

from mulequeue.errors import ConfigurationError
from mulequeue.net.connection import NotConnected, ProxyError
from mulequeue.net.environment import COMMON_HEADERS
from mulequeue.settings import Profile

PROXY_LOGIN = (
    "the proxy asks for a login (407); put it into the proxy's URL: http://user:password@host:port"
)


def request_headers(profile: Profile) -> dict[str, str]:
    """Return the headers of every request under a profile.

    :raises ConfigurationError: the key contains a character that no header may contain.
    """
    key = profile.api_key
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"The API key of profile {profile.name!r} contains an invalid character "
            "(a space, a line break, a typographic quote?). Copy it again."
        )
    return {**COMMON_HEADERS, "Authorization": f"Bearer {key}", "Accept": "application/json"}


@lru_cache(maxsize=1024)
def endpoint(base_url: str, api_path: str) -> URL:
    """Return the URL of an API path. The path is quoted, so it cannot change the host."""
    path = quote(api_path.strip("/"), safe="/%:@!$&'()*+,;=~")
    return URL(f"{base_url}/{path}", encoded=True)


def quote_id(remote_id: str) -> str:
    """Percent-encode an id into one segment of a path."""
    quoted = quote(remote_id, safe="", errors="replace")
    return quoted.replace(".", "%2E") if quoted in (".", "..") else quoted


def describe_error(exc: Exception, profile: Profile) -> str:
    """Describe an exception in one line, without the key or a proxy's password."""
    if isinstance(exc, ProxyError):
        return PROXY_LOGIN if exc.status == 407 else str(exc)
    if isinstance(exc, NotConnected) and isinstance(exc.__cause__, Exception):
        exc = exc.__cause__
        if isinstance(exc, TimeoutError):
            return f"{type(exc).__name__}: no connection in time"
    if isinstance(exc, TimeoutError):
        return f"{type(exc).__name__}: {str(exc) or 'no response in time'}"
    text = f"{type(exc).__name__}: {exc}"
    if isinstance(exc, ssl.SSLError):
        text += " (REQUESTS_CA_BUNDLE or SSL_CERT_FILE name a CA bundle)"
    return text.replace(profile.api_key, "…")[:500]
