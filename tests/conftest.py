"""What every test may ask for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support.fleet import Fleet
from support.leftovers import kill_at_exit
from support.redis_server import RedisServer

# A busy machine is slow, and no test is about that. (With CI=true Hypothesis knows by itself.)
for _name in ("ours", "brief"):
    hypothesis.settings.register_profile(
        _name, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
if "CI" not in os.environ:
    hypothesis.settings.load_profile("ours")


def pytest_configure() -> None:
    """An interrupted run leaves no servers and workers behind."""
    kill_at_exit()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep tests together that share servers."""
    from support.scheduling import SharedServersScheduling

    return SharedServersScheduling(config, log)


_OURS = ("MULEQUEUE_", "MULEROUTER_", "CELERY_")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings and proxies do not reach the tests."""
    for name in list(os.environ):
        if name.startswith(_OURS) or name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.delenv(name)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own."""
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Builds fleets that are stopped at the end, with the workers' logs shown on failure."""
    made: list[Fleet] = []

    def make(**options: Any) -> Fleet:
        folder = tmp_path / f"fleet{len(made)}"
        folder.mkdir()
        made.append(Fleet(folder, **options))
        return made[-1]

    yield make
    for fleet in made:
        fleet.stop()
        print(fleet.logs[-20_000:])


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    """A fleet without workers yet, whose generations take 0.2 to 0.5 seconds."""
    return make_fleet()
