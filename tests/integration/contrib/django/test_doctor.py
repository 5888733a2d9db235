"""``manage.py mulequeue doctor``."""

from __future__ import annotations

import json
import subprocess
import sys

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


def test_manage_py_has_all_commands(still_project: DjangoProject) -> None:
    """Each command runs for the project's app, and errors have its exit code."""
    done = still_project.manage("mulequeue", "models", "alibaba/wan2.6-t2i", "--json")
    wrong = still_project.manage("mulequeue", "lst")

    assert (0, "alibaba/wan2.6-t2i") == (done.returncode, json.loads(done.stdout)["name"])
    assert 1 == wrong.returncode
    assert "Did you mean list?" in wrong.stderr


def test_celerys_command_knows_the_project(still_project: DjangoProject) -> None:
    """celery -A shop mulequeue doctor judges the project's settings, with its storage."""
    command = [sys.executable, "-m", "celery", "-A", "shop", "mulequeue", "doctor", "--json"]
    done = subprocess.run(
        command, cwd=still_project.folder, env=still_project.env, capture_output=True, timeout=60
    )

    found = {item["id"]: item for item in json.loads(done.stdout)["findings"]}
    assert ("ok", "ok") == (found["storage"]["level"], found["settings"]["level"])
    assert "app shop, settings shop.settings" in found["settings"]["text"]
