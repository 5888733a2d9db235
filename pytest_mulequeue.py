"""The pytest plugin of mulequeue: the fixtures ``mulequeue_…``.

pytest loads every installed plugin in every project. So this module is outside of the package, and imports the
package only when a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mulequeue.testing import Fleet, Notifications, ScriptedEmulator, Worker


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "mulequeue_app",
        "Your Celery app, as for celery -A (default: the app that your tests import).",
        default="",
    )


@pytest.fixture(scope="session")
def mulequeue_app(pytestconfig: pytest.Config) -> Any:
    """Your Celery app. Override this fixture if the setting ``mulequeue_app`` is not enough."""
    from celery.app.utils import find_app

    from mulequeue.engine.current_app import current_app

    name = pytestconfig.getini("mulequeue_app")
    return find_app(name) if name else current_app()


@pytest.fixture(scope="session")
def mulequeue_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Redis for the tests: redis-server or valkey-server on PATH, else the embedded Valkey.

    If no server can be started, override this fixture with the URL of a Redis whose data may be deleted.
    """
    from mulequeue.errors import ConfigurationError
    from mulequeue.local.embedded_redis import find_server, install_line, start_redis

    try:
        find_server()
    except ConfigurationError:
        pytest.fail(
            f"The mulequeue_… fixtures need a Redis server program. Install one: {install_line()}, "
            'or pip install "mulequeue[demo]". '
            "Or override the fixture mulequeue_redis with the URL of a Redis that may be emptied.",
            pytrace=False,
        )
    with _short_errors():
        child, url = start_redis(str(tmp_path_factory.mktemp("redis")))
    yield url
    child.stop()


@pytest.fixture(scope="session")
def _mulequeue_emulator_process() -> Iterator[ScriptedEmulator]:
    from mulequeue.testing import ScriptedEmulator, refuse_real_api

    with _short_errors():
        refuse_real_api()
        emulator = ScriptedEmulator()
    with emulator:
        yield emulator


@pytest.fixture(scope="session")
def _mulequeue_api(
    _mulequeue_emulator_process: ScriptedEmulator,
    mulequeue_app: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fleet]:
    """Configure the app and the environment to use the emulator."""
    from mulequeue.testing import Fleet

    fleet = Fleet(
        mulequeue_app,
        emulator_url=_mulequeue_emulator_process.url,
        storage=tmp_path_factory.mktemp("mulequeue-files"),
    )
    with _short_errors(), fleet.in_force():
        yield fleet


@pytest.fixture(scope="session")
def _mulequeue_fleet(_mulequeue_api: Fleet, mulequeue_redis: str) -> Iterator[Fleet]:
    """Use the tests' Redis as the app's broker, result backend and ledger."""
    with _mulequeue_api.on_redis(mulequeue_redis):
        yield _mulequeue_api


@pytest.fixture(scope="session")
def _mulequeue_worker_threads(_mulequeue_fleet: Fleet) -> Iterator[Worker]:
    from mulequeue.testing import Worker

    with _short_errors():
        worker = Worker(_mulequeue_fleet.app)
    with worker.running():
        yield worker


@pytest.fixture
def mulequeue_emulator(
    _mulequeue_emulator_process: ScriptedEmulator, _mulequeue_api: Fleet
) -> Iterator[ScriptedEmulator]:
    """The emulated API. A generation takes 0.1 s; ``script`` sets the outcome of a prompt."""
    _mulequeue_emulator_process.reset()
    yield _mulequeue_emulator_process
    _mulequeue_emulator_process.reset()


@pytest.fixture
def mulequeue_storage(_mulequeue_api: Fleet) -> Path:
    """The folder in which ``download`` stores files, empty at the start of the test."""
    _mulequeue_api.clear_files()
    return _mulequeue_api.storage


@pytest.fixture
def mulequeue_worker(
    mulequeue_emulator: ScriptedEmulator, _mulequeue_worker_threads: Worker, _mulequeue_api: Fleet
) -> Iterator[Worker]:
    """A real worker that runs your app's tasks, on the tests' Redis."""
    yield _mulequeue_worker_threads
    mulequeue_emulator.reset_faults()
    _mulequeue_api.clear()


@pytest.fixture
def mulequeue_notifications(_mulequeue_api: Fleet) -> Iterator[Notifications]:
    """A receiver of notifications; pass its ``url`` to ``notify`` as the target."""
    from mulequeue.testing import Notifications

    recorder = Notifications(_mulequeue_api.secret)
    yield recorder
    recorder.close()
    if recorder.forged:
        pytest.fail(f"Notifications without a valid signature arrived: {recorder.forged}")


@contextmanager
def _short_errors() -> Iterator[None]:
    """Fail with the text of a ConfigurationError, without a traceback."""
    from mulequeue.errors import ConfigurationError

    try:
        yield
    except ConfigurationError as exc:
        pytest.fail(str(exc), pytrace=False)
