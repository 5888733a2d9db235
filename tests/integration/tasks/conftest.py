"""One running fleet for the tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.fleet import Fleet
from support.generations import Log
from support.raw_server import RawServer, http, raw_server


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
    for key in redis.scan_iter("mulequeue:*", count=1000):
        redis.delete(key)
    print(log.text[-20_000:])


@pytest.fixture
def receiver() -> Iterator[RawServer]:
    """A webhook receiver that accepts everything."""
    with raw_server(http("200 OK", "{}")) as server:
        yield server
