"""Check the ledger's Redis: its availability, persistence, eviction policy and clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import ResponseError

from mulequeue.ledger.probe import probe_connection
from mulequeue.ops.health.check_result import Finding, error, error_message, passed, warning
from mulequeue.settings import Settings
from mulequeue.settings.redis_urls import ledger_url

SKEW_SECONDS = 2.0
"""The largest offset of a clock that is not reported. A poll message counts as lost after three seconds."""
LARGE_SKEW_SECONDS = 60.0

_ENABLE_AOF = "Enable its append-only file (appendonly yes)"
_TRUST = (
    "Set ssl_ca_certs to the CA of its certificate. If that CA lacks an extension that Python 3.13 and "
    "newer require, such as key usage, reissue the CA with it, or set "
    '"ssl_exclude_verify_flags": [ssl.VERIFY_X509_STRICT] in broker_use_ssl and redis_backend_use_ssl'
)


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of a Redis server."""

    info: Mapping[str, Any]
    """The reply to INFO; empty if the server forbids the command."""
    save: str | None
    """The snapshot schedule; empty: no snapshots; None: CONFIG is forbidden, as on managed servers."""
    cli: str = "redis-cli"
    """The command that connects to the server from a shell on this machine."""


def read_facts(client: Redis) -> Facts:
    """Read the state of a Redis server.

    :raises redis.RedisError: the server does not answer.
    """
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
    """Return the finding for a Redis that cannot be reached."""
    why = error_message(exc)
    if "certificate verify failed" in why:
        return error("redis", f"The certificate of Redis at {url} is not trusted: {why}.", _TRUST)
    return error(
        "redis",
        f"Redis at {url} does not answer, so no generation is submitted or checked: {why}.",
        f"Start it, or set another URL:\n  redis-server --appendonly yes\n  {setting} = "
        '"redis://HOST:6379/0"',
    )


def reachable(url: str, facts: Facts, milliseconds: float) -> Finding:
    """Return the finding for a Redis that answers."""
    version = facts.info.get("redis_version", "")
    return passed("redis", f"Redis {version}, {milliseconds:.1f} ms: {url}")


def persistence(facts: Facts) -> Finding:
    """Check that generations survive a restart of Redis."""
    command = f"  {facts.cli} config set appendonly yes"
    if facts.info.get("aof_last_write_status") == "err":
        return error(
            "persistence",
            "Redis cannot write its append-only file.",
            "Free space on its disk. Its log shows the cause.",
        )
    if facts.info.get("aof_enabled"):
        return passed("persistence", "Redis keeps its data in an append-only file.")
    if facts.save is None or "aof_enabled" not in facts.info:
        return warning(
            "persistence",
            "It is unknown whether this Redis keeps its data: it reports no append-only file and hides "
            "its configuration.",
            f"{_ENABLE_AOF} at the service's provider, unless the provider guarantees durability.",
        )
    if facts.save:
        return warning(
            "persistence",
            "Redis makes snapshots only. A restart loses all generations since the last one, billed or "
            "not.",
            f"{_ENABLE_AOF}, also in redis.conf:\n{command}",
        )
    return error(
        "persistence",
        "Redis does not persist its data. A restart loses every generation, billed or not.",
        f"{_ENABLE_AOF}, also in redis.conf:\n{command}",
    )


def eviction(facts: Facts, id: str = "eviction", content: str = "generations") -> Finding:
    """Check that Redis rejects writes instead of deleting keys when its memory is full."""
    policy, limit = facts.info.get("maxmemory_policy"), facts.info.get("maxmemory")
    if policy is None:
        return warning(
            id,
            f"It is unknown whether this Redis deletes {content} when its memory is full: it does not "
            "report its policy.",
            "Set maxmemory-policy to noeviction at the service's provider.",
        )
    if policy == "noeviction":
        return passed(id, f"Redis deletes no {content} when its memory is full (noeviction).")
    fix = (
        "Make it reject writes instead, also in redis.conf:\n"
        f"  {facts.cli} config set maxmemory-policy noeviction"
    )
    if not limit:
        text = f"Redis will delete {content} once maxmemory is set: maxmemory-policy is {policy}."
        return warning(id, text, fix)
    text = f"Redis deletes {content} when its memory is full: maxmemory-policy is {policy}."
    return error(id, text, fix)


def broker_eviction(app: Any, settings: Settings, timeout_seconds: float) -> list[Finding]:
    """Check the eviction policy of the Redis of the broker, else of the result backend.

    The result is empty if neither is a Redis, or if it is the ledger's Redis.

    :raises redis.RedisError: that Redis does not answer.
    """
    url = ledger_url(app.conf)
    if url is None or _server(url) == _server(settings.redis_url):
        return []
    with probe_connection(url, timeout_seconds) as client:
        facts = read_facts(client)
    return [eviction(facts, "broker-eviction", "messages and results")]


def _server(url: str) -> str:
    """Return the host and port of a URL, or the path of its socket."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path


def clock_offset(client: Redis, clock: Callable[[], float] = time.time) -> tuple[float, float]:
    """Measure how far this machine's clock is ahead of Redis' clock, with the fastest of 3 TIME commands.

    :returns: the offset and the duration of that command, both in seconds.
    """
    samples = []
    for _ in range(3):
        started, before = time.monotonic(), clock()
        seconds, micros = client.time()
        took = time.monotonic() - started
        samples.append((took, before + took / 2 - float(seconds) - float(micros) / 1e6))
    took, offset = min(samples)
    return offset, took


def clock_skew(offset: float) -> Finding:
    """Check that this machine's clock agrees with Redis' clock.

    :param offset: the seconds by which this machine's clock is ahead.
    """
    if abs(offset) <= SKEW_SECONDS:
        return passed("clock", f"This machine's clock agrees with Redis' clock ({offset:+.2f} s).")
    side = "ahead of" if offset > 0 else "behind"
    report = error if abs(offset) > LARGE_SKEW_SECONDS else warning
    return report(
        "clock",
        f"This machine's clock is {abs(offset):.1f} s {side} Redis' clock. Messages that wait here are "
        "delivered at the wrong time.",
        "Synchronize the clocks of both machines:\n  sudo timedatectl set-ntp true",
    )
