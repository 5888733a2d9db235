"""``manage.py mulequeue doctor``."""

from __future__ import annotations

import json

from support.django_project import DjangoProject


def test_manage_py_calls_the_doctor(still_project: DjangoProject) -> None:
    """It checks the project's app and spells settings as the project does."""
    done = still_project.manage("mulequeue", "doctor", "--json")

    found = {item["id"]: item for item in json.loads(done.stdout)["findings"]}
    assert 1 == done.returncode, done.stderr
    assert "  CELERY_MULEQUEUE_REDIS_URL = " in found["redis"]["fix"]
    assert "  CELERY_WORKER_CONSUMER = " in found["worker-consumer"]["fix"]
    assert ("ok", "ok") == (found["storage"]["level"], found["prefetch"]["level"])
    assert [] == [path for path in (still_project.folder / "media").rglob("*") if path.is_file()]


def test_manage_py_prints_a_report(still_project: DjangoProject) -> None:
    """Lines for people without --json, and the exit code of an error."""
    done = still_project.manage("mulequeue", "doctor")

    assert 1 == done.returncode, done.stderr
    assert "error   redis " in done.stdout
    assert "ok      settings " in done.stdout
