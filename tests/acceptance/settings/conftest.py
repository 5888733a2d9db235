"""One emulator and one Redis for the whole table; every row is a project of its own on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.project import Project
from support.redis_server import RedisServer

from mulequeue.emulator.process import EmulatorProcess


@pytest.fixture(scope="session")
def _emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(min_seconds=0.2, max_seconds=0.5) as process:
        yield process


@pytest.fixture
def emulator(_emulator: EmulatorProcess) -> EmulatorProcess:
    """Its counters are at zero."""
    _emulator.reset()
    return _emulator


@pytest.fixture(scope="session")
def _redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis(_redis: RedisServer) -> RedisServer:
    """It is empty."""
    _redis.client.flushall()
    return _redis


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Servers of one test, which outlive its project. (Ask for it before ``project``.)"""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def project(tmp_path: Path, emulator: EmulatorProcess) -> Iterator[Callable[..., Project]]:
    """Builds projects that are stopped at the end, with the workers' logs shown on failure."""
    made: list[Project] = []

    def make(settings: str, **options: Any) -> Project:
        folder = tmp_path / f"project{len(made)}"
        folder.mkdir()
        made.append(Project(folder, emulator, settings, **options))
        return made[-1]

    yield make
    for each in made:
        each.stop()
        print(each.logs[-20_000:])
