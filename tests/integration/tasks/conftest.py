"""One running fleet for the tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from redis import Redis
from support.fleet import Fleet
from support.generations import Log
from support.raw_server import RawServer, http, raw_server
from support.waiting import wait_until


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("shared"), min_seconds=0.05, max_seconds=0.15) as fleet:
        fleet.worker("-c", "4")
        yield fleet


@pytest.fixture
def shared(_running: Fleet) -> Iterator[Fleet]:
    """A fleet with a prefork worker; its ledger is empty and its emulator has a good day."""
    log = Log(_running)
    _running.app.set_current()
    yield _running
    _running.emulator.reset()
    redis = _running.redis.client
    with suppress(AssertionError):  # a test that leaves a long task behind may do so
        wait_until(lambda: not _messages(redis), seconds=5)
    for key in redis.scan_iter("mulequeue:*", count=1000):
        redis.delete(key)
    print(log.text[-20_000:])


def _messages(redis: Redis) -> bool:
    """Whether a message is left that would run without its record; one of the poll loop always is."""
    queued = any(redis.scan_iter(_type="list"))
    return queued or any(b'"mulequeue.poll"' not in held for held in redis.hvals("unacked"))


@pytest.fixture
def receiver() -> Iterator[RawServer]:
    """A webhook receiver that accepts everything."""
    with raw_server(http("200 OK", "{}")) as server:
        yield server
