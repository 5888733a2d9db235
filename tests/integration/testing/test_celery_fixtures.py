"""Celery's own pytest fixtures, whose embedded workers send few of the signals of the program."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.fleet import Fleet
from support.subprocess_pytest import run_pytest

SAMPLE = Path(__file__).parent / "samples" / "check_celery_fixtures.py"


@pytest.mark.parametrize("queue", ["", "celery"], ids=["all queues", "one queue"])
def test_an_embedded_worker_generates(fleet: Fleet, queue: str) -> None:
    """It consumes the internal queues and watches the poll loop; each test's app has the tasks."""
    shutil.copy(SAMPLE, fleet.folder)
    env = {**fleet.env, "SHOP_REDIS": fleet.redis.url, "SHOP_QUEUE": queue}
    del env["PYTHONPATH"]

    done = run_pytest(fleet.folder, SAMPLE.name, "-q", "-p", "celery.contrib.pytest", **env)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "5 passed" in done.stdout
