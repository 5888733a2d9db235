"""One running project for each database; the tests share it and use ids of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.django_project import Browser, DjangoProject
from support.fleet import Fleet
from support.mariadb import MariaServer
from support.postgres import PostgresServer

pytest.importorskip("django", reason='no Django (pip install "mulequeue[django]")')

_MORE = dict.fromkeys(["sqlite naive", "mariadb"], "USE_TZ = False")
_SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}


def _database(kind: str, stack: ExitStack) -> dict[str, Any]:
    if kind.startswith("sqlite"):
        return _SQLITE
    server = MariaServer() if kind == "mariadb" else PostgresServer()
    stack.callback(server.stop)
    return server.database


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def _running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DjangoProject]:
    with ExitStack() as stack:
        database = _database(request.param, stack)
        folder = tmp_path_factory.mktemp("shop")
        fleet = stack.enter_context(Fleet(folder, min_seconds=0.1, max_seconds=0.2))
        project = DjangoProject(folder, database, fleet, more=_MORE.get(request.param, ""))
        stack.callback(project.stop)
        project.start()
        yield project


@pytest.fixture
def project(_running: DjangoProject) -> Iterator[DjangoProject]:
    """A project with a worker and a web server."""
    start = len(_running.logs)
    yield _running
    _running.fleet.emulator.reset_faults()
    print(_running.logs[start:][-20_000:])


@pytest.fixture
def still_project(tmp_path: Path) -> DjangoProject:
    """A project without running processes."""
    return DjangoProject(tmp_path, _SQLITE)


@pytest.fixture
def browser(project: DjangoProject) -> Browser:
    """An administrator's."""
    return Browser(project)
