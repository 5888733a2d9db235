"""The keys of one fleet on one Redis, and the Lua scripts that change them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from redis import Redis

from mulequeue.ledger.scripts import source


class Keyspace:
    """The Redis client, prefix and scripts that the parts of a ledger share; see ``Ledger``."""

    def __init__(
        self, redis: Redis, fleet: str, *, clock: Callable[[], float] | None = None
    ) -> None:
        self.redis = redis
        self.prefix = f"mulequeue:{{{fleet}}}:"
        self._clock = clock
        self._scripts: dict[str, Any] = {}

    def run(self, script: str, *args: Any, pipe: Any = None) -> Any:
        """Run a script of ``lua/`` with the fleet's prefix and the time before ``args``.

        :param pipe: a pipeline that runs it later.
        """
        registered = self._scripts.get(script)
        if registered is None:
            registered = self._scripts[script] = self.redis.register_script(source(script))
        now: Any = "" if self._clock is None else repr(self._clock())
        texts = [b"" if arg is None else arg for arg in args]
        return registered(
            keys=[f"{self.prefix}due"], args=[self.prefix, now, *texts], client=pipe or self.redis
        )

    def now(self) -> float:
        """Return Redis' clock, in unix seconds."""
        seconds, micros = self.redis.time()
        return float(seconds) + float(micros) / 1e6


def texts(fields: Mapping[Any, Any]) -> dict[str, str]:
    """Decode the fields of a hash."""
    return {key.decode(): value.decode() for key, value in fields.items()}


def optional_time(text: bytes | None) -> float | None:
    """Return the time that a script wrote, or None if it wrote an empty text."""
    return float(text) if text else None
