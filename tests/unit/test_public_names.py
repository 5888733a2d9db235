"""The public names, and what the tasks set for themselves."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest
from celery import Celery, Task

import mulequeue

TASKS = ["generate", "generate_from", "adopt", "download", "notify"]


def test_public_names_are_complete() -> None:
    """Every name of __all__ exists, once, and nothing public is left out of it."""
    assert len(mulequeue.__all__) == len(set(mulequeue.__all__))
    ctx = {
        name
        for name, value in list(vars(mulequeue).items())
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert ctx <= set(mulequeue.__all__)
    assert all(hasattr(mulequeue, name) for name in mulequeue.__all__)


def test_public_names_are_documented() -> None:
    """Every public name has a docstring."""
    assert [] == [name for name in mulequeue.__all__ if not getattr(mulequeue, name).__doc__]


def test_version_is_the_packages() -> None:
    """The version in the code is the distribution's."""
    assert version("mulequeue") == mulequeue.__version__


def test_importing_loads_no_client() -> None:
    """A process that only sends tasks loads no Redis client, no HTTP client and no storage."""
    clients = ["aiohttp", "fsspec", "redis", "requests"]
    program = f"import mulequeue, sys; print(sorted(set({clients}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert "[]" == done.stdout.strip()


@pytest.fixture
def hostile() -> Any:
    """An app whose defaults are the opposite of what the tasks need."""
    app = Celery("hostile", broker="memory://", set_as_current=False)
    app.conf.update(
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        task_track_started=True,
        task_time_limit=1,
        task_soft_time_limit=1,
    )
    app.finalize()
    yield app
    app.close()


def ours(app: Celery) -> list[Task]:
    # Another test may have imported the task for Django.
    ours = [name for name in app.tasks if name.startswith("mulequeue.")]
    found = [app.tasks[name] for name in ours if name != "mulequeue.attach"]
    assert {
        f"mulequeue.{name}" for name in [*TASKS, "each", "generate_many", "poll", "gather"]
    } == {t.name for t in found}
    return found


def test_own_options_win(hostile: Celery) -> None:
    """Whatever the app's defaults are, a lost worker's message comes back and nothing is cut off."""
    for task in ours(hostile):
        assert (True, True) == (task.acks_late, task.reject_on_worker_lost), task.name
        assert (False, False) == (task.track_started, task.trail), task.name
        assert task.time_limit > task.soft_time_limit >= 90, task.name


def test_queues_are_the_users(hostile: Celery) -> None:
    """No task names a queue for itself: task_routes of the user's app decide."""
    assert [None] * len(ours(hostile)) == [getattr(task, "queue", None) for task in ours(hostile)]


def test_importing_leaves_the_users_app_current(hostile: Celery) -> None:
    """import mulequeue makes no app of its own, and takes over nobody's tasks."""
    before = Celery("mine", broker="memory://")
    try:
        assert before is mulequeue.generate.app
        assert "mulequeue" != before.main
    finally:
        before.close()
