"""Derive the URL of the ledger's Redis from Celery's settings, if ``mulequeue_redis_url`` is not set."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

_REDIS = ("redis://", "rediss://", "redis+socket://")
_SOURCES = (
    ("broker_url", "broker_use_ssl", "broker_transport_options"),
    ("result_backend", "redis_backend_use_ssl", "result_backend_transport_options"),
)
_CERT_REQS = {
    ssl.CERT_NONE: "none",
    ssl.CERT_OPTIONAL: "optional",
    ssl.CERT_REQUIRED: "required",
}


def ledger_url(conf: Mapping[str, Any]) -> str | None:
    """Return the URL of the broker if that is a Redis, else of the result backend if that is one.

    :returns: a URL with the TLS settings, as :func:`mulequeue.ledger.connect` accepts it; None if
        neither is a Redis.
    """
    for url_key, tls_key, options_key in _SOURCES:
        given = conf.get(url_key)
        urls = given.split(";") if isinstance(given, str) else list(given or [])
        url = str(urls[0]) if urls else ""
        if url.startswith("sentinel://"):
            url = _sentinel_url(urls, conf.get(options_key) or {})
        elif not url.startswith(_REDIS):
            continue
        return _with_tls(url, conf.get(tls_key))
    return None


def _sentinel_url(urls: list[str], options: Mapping[str, Any]) -> str:
    """Combine ``sentinel://a;sentinel://b/0`` and the master's name: ``redis+sentinel://a,b/MASTER/0``."""
    parts = [urlsplit(url) for url in urls]
    user, at, _ = parts[0].netloc.rpartition("@")
    hosts = ",".join(part.netloc.rpartition("@")[2] for part in parts)
    database = next((part.path.strip("/") for part in parts if part.path.strip("/")), "0")
    query = {
        f"sentinel_{key}": value
        for key, value in (options.get("sentinel_kwargs") or {}).items()
        if key in ("username", "password")
    }
    master = quote(str(options.get("master_name") or ""))
    end = f"?{urlencode(query)}" if query else ""
    return f"redis+sentinel://{user}{at}{hosts}/{master}/{database}{end}"


def _with_tls(url: str, tls: Any) -> str:
    """Add TLS to a URL.

    :param tls: as ``broker_use_ssl``: False, True, or a dictionary of ``ssl_…`` options.
    """
    if not tls:
        return url
    scheme, _, rest = url.partition("://")
    if scheme in ("redis", "redis+sentinel"):
        scheme = scheme.replace("redis", "rediss", 1)
    options = {
        name: _in_url(name, value)
        for name, value in (tls.items() if isinstance(tls, Mapping) else ())
        if name.startswith("ssl_") and value is not None and f"{name}=" not in url
    }
    mark = "&" if "?" in rest else "?"
    return f"{scheme}://{rest}{mark}{urlencode(options)}" if options else f"{scheme}://{rest}"


def _in_url(name: str, value: Any) -> Any:
    """Return the value of a TLS option in the syntax that redis-py reads from a URL."""
    if name == "ssl_cert_reqs":
        return _CERT_REQS.get(value, value)
    if name in ("ssl_include_verify_flags", "ssl_exclude_verify_flags"):
        return ",".join(str(one.name) for flags in value for one in ssl.VerifyFlags(flags))
    return value
