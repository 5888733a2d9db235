"""Create the client of the ledger's Redis."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from mulequeue.errors import ConfigurationError

_SENTINEL = ("redis+sentinel", "rediss+sentinel")


def connect(url: str) -> Redis:
    """Return a client that repeats a command after a lost connection.

    Every script may run twice with the same tokens, so a lost answer does no harm.

    :param url: ``redis://``, ``rediss://`` (TLS), ``redis+socket://`` or ``unix://`` (a path), or
        ``redis+sentinel://[user:password@]host:port,host:port/master[/database]`` (``rediss+…``:
        over TLS; ``?sentinel_password=…`` for the sentinels' own).
    :raises ConfigurationError: the URL has none of these forms.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": 3,
        "socket_timeout": 10,
        "health_check_interval": 30,
        "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), 2),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
    }
    try:
        if urlsplit(url).scheme in _SENTINEL:
            return _behind_sentinels(url, options)
        url = _as_redis_py_reads_it(url)
        if url.startswith("unix://"):
            options.pop("socket_connect_timeout")
        client: Redis = Redis.from_url(url, **options)
    except ValueError:  # its text may quote a password
        raise ConfigurationError(
            "The URL of the ledger's Redis cannot be read. Set mulequeue_redis_url (MULEQUEUE_REDIS_URL) "
            "to one like redis://:password@host:6379/0; write special characters of a password as %xx."
        ) from None
    return client


def _as_redis_py_reads_it(url: str) -> str:
    """Rewrite Celery's syntax for Unix sockets and ``ssl_cert_reqs`` to the syntax of redis-py."""
    url = url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=")
    return re.sub(r"(?<=ssl_cert_reqs=)(?:CERT_)?(\w+)", lambda found: found[1].lower(), url)


def _behind_sentinels(url: str, options: dict[str, Any]) -> Redis:
    """Return a client of the master that the sentinels report. It follows a change of the master."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    master, _, database = unquote(parts.path).strip("/").partition("/")
    addresses = [urlsplit(f"//{host}") for host in hosts.split(",")]
    if not master:
        raise ConfigurationError(
            "A ledger behind Redis Sentinel needs the master's name: set master_name in "
            "broker_transport_options, or mulequeue_redis_url = "
            "'redis+sentinel://host:26379,host:26379/master'."
        )
    scheme = parts.scheme.partition("+")[0]
    one = f"{scheme}://{user}{at}host/{database or 0}?{parts.query}"
    found = dict(parse_url(_as_redis_py_reads_it(one)))
    del found["host"]
    # The sentinels are connected to over TLS too, but with their own user and password, if they are given.
    own = {key: found.pop(f"sentinel_{key}", None) for key in ("username", "password")}
    tls = {key: value for key, value in found.items() if key.startswith("ssl_")}
    if found.pop("connection_class", None) is not None:
        tls["ssl"] = found["ssl"] = True
    timeouts = {key: options[key] for key in ("socket_connect_timeout", "socket_timeout")}
    sentinel = Sentinel(
        [(address.hostname, address.port or 26379) for address in addresses],
        sentinel_kwargs={**timeouts, **tls, **{key: own[key] for key in own if own[key]}},
    )
    client: Redis = sentinel.master_for(master, redis_class=Redis, **{**options, **found})
    return client
