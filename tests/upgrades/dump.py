"""A whole Redis as JSON, and back."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from redis import Redis

EPOCH = 1_700_000_000.0
"""When every dump was taken, unix seconds: the times in it are moved there."""
FOLDER = "/var/lib/mulequeue"
"""Where the files of every dump lie."""
_TIME = re.compile(r"\b1[67]\d{8}\.\d+")


def dump(client: Redis, *, taken_at: float, folder: str) -> dict[str, Any]:
    """``{key: {type, value, ttl_seconds}}``.

    :param taken_at: now, unix seconds. :param folder: where the fleet that wrote it kept its files.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, float):
            return value - taken_at + EPOCH
        try:
            return _moved(value.decode().replace(folder, FOLDER), EPOCH - taken_at)
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}

    entries = {}
    for key in sorted(client.scan_iter()):
        kind = client.type(key).decode()
        entry = {"type": kind, "value": plain(_read(client, kind, key))}
        if (milliseconds := client.pttl(key)) > 0:
            entry["ttl_seconds"] = round(milliseconds / 1000)
        entries[key.decode()] = entry
    return entries


def load(client: Redis, entries: Mapping[str, Any], *, taken_at: float) -> None:
    """Write a dump into an empty Redis, as if it had been taken then (unix seconds)."""

    def real(value: Any) -> Any:
        if isinstance(value, list):
            return [real(item) for item in value]
        if isinstance(value, float):
            return value - EPOCH + taken_at
        if isinstance(value, dict):
            return base64.b64decode(value["base64"])
        return _moved(value, taken_at - EPOCH)

    for key, entry in entries.items():
        value = real(entry["value"])
        write: dict[str, Callable[[], Any]] = {
            "string": lambda key=key, value=value: client.set(key, value),
            "hash": lambda key=key, value=value: client.hset(key, mapping=dict(value)),
            "list": lambda key=key, value=value: client.rpush(key, *value),
            "set": lambda key=key, value=value: client.sadd(key, *value),
            "zset": lambda key=key, value=value: client.zadd(key, dict(value)),
        }
        write[entry["type"]]()
        if "ttl_seconds" in entry:
            client.expire(key, entry["ttl_seconds"])


def _read(client: Redis, kind: str, key: bytes) -> Any:
    read: dict[str, Callable[[], Any]] = {
        "string": lambda: client.get(key),
        "hash": lambda: sorted(client.hgetall(key).items()),
        "list": lambda: client.lrange(key, 0, -1),
        "set": lambda: sorted(client.smembers(key)),
        "zset": lambda: client.zrange(key, 0, -1, withscores=True),
    }
    return read[kind]()


def _moved(text: str, seconds: float) -> str:
    """The text with every unix time in it moved."""
    return _TIME.sub(lambda found: f"{float(found[0]) + seconds:.6f}", text)
