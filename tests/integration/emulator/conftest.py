"""One emulator for all its tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mulequeue.emulator import EmulatorProcess


@pytest.fixture(scope="session")
def process() -> Iterator[EmulatorProcess]:
    """Its generations take an hour unless a test says otherwise."""
    for package in ("PIL", "av"):
        pytest.importorskip(package, reason='needs pip install "mulequeue[demo]"')
    with EmulatorProcess(min_seconds=3600, max_seconds=3600) as emulator:
        yield emulator


@pytest.fixture
def emulator(process: EmulatorProcess) -> EmulatorProcess:
    """The emulator with nothing in its memory."""
    process.reset()
    return process
