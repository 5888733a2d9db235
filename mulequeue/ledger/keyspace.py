"""What every part of the ledger stands on: a Redis, a prefix, and the scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from redis import Redis

from mulequeue.ledger.connection import connect
from mulequeue.ledger.scripts import Scripts
from mulequeue.settings import Settings


class Keyspace:
    """One fleet's keys on one Redis; the arguments are described at ``Ledger``."""

    def __init__(
        self, redis: Redis, fleet: str, *, clock: Callable[[], float] | None = None
    ) -> None:
        self.redis = redis
        self.prefix = f"mulequeue:{{{fleet}}}:"
        self._scripts = Scripts(redis, self.prefix, clock)
        self._run = self._scripts.run

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The ledger that the settings name."""
        return cls(connect(settings.redis_url), settings.fleet)
