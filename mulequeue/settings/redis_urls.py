"""The URL of the ledger's Redis from Celery's settings, for ``mulequeue_redis_url`` unset."""

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
    """Return the URL of the broker, else of the result backend, if it is a Redis.

    :returns: a URL with its TLS settings, as :func:`mulequeue.ledger.connect` accepts it; None if
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
    """Return ``sentinel://a;sentinel://b/0`` and the name of the master as one URL."""
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
    """Return the URL with TLS as in ``broker_use_ssl``: True, or a dictionary of ``ssl_…`` options."""
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
    """Return a TLS option as redis-py reads it from a URL."""
    if name == "ssl_cert_reqs":
        return _CERT_REQS.get(value, value)
    if name in ("ssl_include_verify_flags", "ssl_exclude_verify_flags"):
        return ",".join(str(one.name) for flags in value for one in ssl.VerifyFlags(flags))
    return value
