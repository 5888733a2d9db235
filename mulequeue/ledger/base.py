"""What every part of the ledger stands on: a Redis, a prefix, and the scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from mulequeue.ledger.scripts import Scripts
from mulequeue.settings import Settings


def connect(url: str) -> Redis:
    """A client whose commands may be repeated once the connection is back.

    Every script may be run twice with the same tokens, so a lost answer does no harm.
    """
    return Redis.from_url(
        url,
        socket_connect_timeout=3,
        socket_timeout=10,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 2),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )


class Base:
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
