"""The ledger's Redis: does it answer, does it keep what it is given, and whose clock is right?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import ResponseError

from mulequeue.ledger.probe import probe_connection
from mulequeue.ops.health.check_result import Finding, error, passed, warning
from mulequeue.settings import Settings
from mulequeue.settings.redis_urls import ledger_url

SKEW_SECONDS = 2.0
"""A poll message is given up for lost when it is three seconds late."""
GREAT_SKEW_SECONDS = 60.0

_NO_AOF = "Turn its append-only file on (appendonly yes)"
_TRUST = (
    "Name the CA of its certificate in ssl_ca_certs. Does that CA lack extensions, such as key usage, "
    "which Python 3.13 and newer ask for? Issue it anew with them, or set "
    '"ssl_exclude_verify_flags": [ssl.VERIFY_X509_STRICT] in broker_use_ssl and redis_backend_use_ssl'
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a Redis says of itself."""

    info: Mapping[str, Any]
    """Of the command INFO; empty where it is forbidden."""
    save: str | None
    """When it makes snapshots, empty: never; None: CONFIG is forbidden, as managed ones do."""
    cli: str = "redis-cli"
    """How to reach it from a shell on this machine."""


def read_facts(client: Redis) -> Facts:
    """Ask a Redis. Raises what redis-py raises when it does not answer."""
    try:
        info: Mapping[str, Any] = client.info()
    except ResponseError:
        info = {}
    try:
        found = {_text(key): _text(value) for key, value in client.config_get("save").items()}
        save = found.get("save")
    except ResponseError:
        save = None
    return Facts(info, save, _cli(client.connection_pool.connection_kwargs))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _cli(options: Mapping[str, Any]) -> str:
    if options.get("path"):
        return f"redis-cli -s {options['path']}"
    host, port = options.get("host") or "localhost", options.get("port") or 6379
    parts = ["redis-cli"]
    if host not in ("localhost", "127.0.0.1"):
        parts.append(f"-h {host}")
    if port != 6379:
        parts.append(f"-p {port}")
    return " ".join(parts)


def unreachable(url: str, exc: Exception, setting: str) -> Finding:
    """:param setting: how this project spells ``mulequeue_redis_url``."""
    why = " ".join(str(exc).rstrip(".").split()) or type(exc).__name__
    if "certificate verify failed" in why:
        return error("redis", f"Redis at {url} is not trusted: {why}.", _TRUST)
    return error(
        "redis",
        f"Redis at {url} does not answer: {why}.",
        f"Start it, or name another one:\n  redis-server --appendonly yes\n  {setting} = "
        '"redis://HOST:6379/0"',
    )


def reachable(url: str, facts: Facts, milliseconds: float) -> Finding:
    """:param milliseconds: how long one command takes."""
    version = facts.info.get("redis_version", "")
    return passed("redis", f"Redis {version}, {milliseconds:.1f} ms: {url}")


def persistence(facts: Facts) -> Finding:
    """Whether a restart of Redis forgets generations that are paid."""
    how = f"  {facts.cli} config set appendonly yes"
    if facts.info.get("aof_last_write_status") == "err":
        return error(
            "persistence",
            "Redis cannot write its append-only file.",
            "Free space on its disk; its log says what is wrong.",
        )
    if facts.info.get("aof_enabled"):
        return passed("persistence", "Redis keeps its data in an append-only file.")
    if facts.save is None or "aof_enabled" not in facts.info:
        return warning(
            "persistence",
            "Unknown whether this Redis keeps its data: it has no append-only file that it tells "
            "of, and does not say more.",
            f"{_NO_AOF} at whoever runs it, unless they promise durability.",
        )
    if facts.save:
        return warning(
            "persistence",
            "Redis makes snapshots only: a restart forgets what was paid since the last one.",
            f"{_NO_AOF}, also in redis.conf:\n{how}",
        )
    return error(
        "persistence",
        "Redis keeps nothing: a restart forgets every generation, paid or not.",
        f"{_NO_AOF}, also in redis.conf:\n{how}",
    )


def eviction(facts: Facts, id: str = "eviction", what: str = "generations") -> Finding:
    """Whether a full Redis forgets what it holds.

    :param what: that is.
    """
    policy, limit = facts.info.get("maxmemory_policy"), facts.info.get("maxmemory")
    if policy is None:
        return warning(
            id,
            f"Unknown whether this Redis forgets {what} when its memory is full: it does not say.",
            "Set maxmemory-policy to noeviction at whoever runs it.",
        )
    if policy == "noeviction":
        return passed(id, f"Redis forgets no {what} when it is full (noeviction).")
    fix = (
        "Let it refuse writes instead, also in redis.conf:\n"
        f"  {facts.cli} config set maxmemory-policy noeviction"
    )
    if not limit:
        text = f"maxmemory-policy is {policy}: it will forget {what} once maxmemory is set."
        return warning(id, text, fix)
    return error(id, f"A full Redis forgets {what} ({policy}).", fix)


def broker_eviction(app: Any, settings: Settings, timeout_seconds: float) -> list[Finding]:
    """The same of the broker's Redis, or the results', where it is another one than the ledger's.

    Raises what redis-py raises when it does not answer.
    """
    url = ledger_url(app.conf)
    if url is None or _server(url) == _server(settings.redis_url):
        return []
    with probe_connection(url, timeout_seconds) as client:
        facts = read_facts(client)
    return [eviction(facts, "broker-eviction", "messages and results")]


def _server(url: str) -> str:
    """Host and port; a socket's path."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path


def clock_offset(client: Redis, clock: Callable[[], float] = time.time) -> tuple[float, float]:
    """Seconds this machine's clock is ahead of Redis', and seconds one command takes."""
    samples = []
    for _ in range(3):
        started, before = time.monotonic(), clock()
        seconds, micros = client.time()
        took = time.monotonic() - started
        samples.append((took, before + took / 2 - float(seconds) - float(micros) / 1e6))
    took, offset = min(samples)
    return offset, took


def clock_skew(offset: float) -> Finding:
    """:param offset: seconds this machine's clock is ahead of Redis'."""
    if abs(offset) <= SKEW_SECONDS:
        return passed("clock", f"This machine's clock agrees with Redis' ({offset:+.2f} s).")
    side = "ahead of" if offset > 0 else "behind"
    say = error if abs(offset) > GREAT_SKEW_SECONDS else warning
    return say(
        "clock",
        f"This machine's clock is {abs(offset):.1f} s {side} that of Redis.",
        "Let both machines keep time:\n  sudo timedatectl set-ntp true",
    )
