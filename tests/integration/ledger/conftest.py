"""A Redis of the test session's own, and a fleet on it whose clock the tests set."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest
from redis import Redis
from support.ledger_world import World
from support.redis_server import RedisServer

hypothesis.settings.register_profile("thorough", max_examples=3000, stateful_step_count=80)


@pytest.fixture(scope="session")
def session_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis server that lives as long as the test session: it holds nothing between tests."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server.client
    server.stop()


@pytest.fixture
def redis(session_redis: Redis) -> Redis:
    """An empty Redis."""
    session_redis.flushall()
    return session_redis


@pytest.fixture
def world(redis: Redis) -> World:
    """A fleet without limits, at a time that only the test moves."""
    return World(redis)
