"""How a request to the API is addressed: its URL, its headers, the proxy on the way."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote
from weakref import WeakKeyDictionary

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from mulequeue.errors import ConfigurationError
from mulequeue.net.environment import CONNECT_TIMEOUT_SECONDS, proxy_for
from mulequeue.settings import Profile

PROXY_LOGIN = (
    "the proxy asks for a login (407); put it into the proxy's URL: http://user:password@host:port"
)


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """What every status check under one profile shares."""

    headers: CIMultiDict[str]
    proxy: URL | None


# The environment's proxies are looked up once a session: 50 µs, more than a status check's half.
_options: WeakKeyDictionary[aiohttp.ClientSession, dict[Profile, RequestOptions]] = (
    WeakKeyDictionary()
)


def request_options(session: aiohttp.ClientSession, profile: Profile) -> RequestOptions:
    routes = _options.get(session)
    if routes is None:
        routes = _options[session] = {}
    route = routes.get(profile)
    if route is None:
        proxy = proxy_for(profile.base_url)
        headers = CIMultiDict(headers_of(profile))
        route = routes[profile] = RequestOptions(headers, URL(proxy) if proxy else None)
    return route


def headers_of(profile: Profile) -> dict[str, str]:
    key = profile.api_key
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"The API key of profile {profile.name!r} holds characters no key has "
            "(a space, a line break, a typographic quote?). Copy it again."
        )
    return {"Authorization": f"Bearer {key}", "Accept": "application/json"}


@lru_cache(maxsize=1024)
def url_of(base_url: str, api_path: str) -> str:
    """The address of an API path; always on the base URL's host, whatever the path says."""
    path = quote(api_path.strip("/"), safe="/%:@!$&'()*+,;=~")
    return f"{base_url}/{path}"


def quote_id(remote_id: str) -> str:
    quoted = quote(remote_id, safe="")
    return quoted.replace(".", "%2E") if quoted in (".", "..") else quoted


@lru_cache(maxsize=32)
def total_timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, CONNECT_TIMEOUT_SECONDS))


def reason_of(exc: Exception, profile: Profile) -> str:
    """An exception in one line, without a key or a proxy's password."""
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return PROXY_LOGIN if exc.status == 407 else f"the proxy answered {exc.status} to CONNECT"
    if isinstance(exc, TimeoutError):
        return f"{type(exc).__name__}: {str(exc) or 'no answer in time'}"
    text = f"{type(exc).__name__}: {exc}"
    if isinstance(exc, aiohttp.ClientSSLError | ssl.SSLError):
        text += " (REQUESTS_CA_BUNDLE or SSL_CERT_FILE name a CA bundle)"
    return text.replace(profile.api_key, "…")[:500]
