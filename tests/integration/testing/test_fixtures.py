"""The fixtures in projects of a user's own: plain, and with Django."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.redis_server import redis_binary
from support.subprocess_pytest import run_pytest

pytest.importorskip("PIL", reason='needs pip install "mulequeue[demo]"')
pytest.importorskip("av", reason='needs pip install "mulequeue[demo]"')

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(autouse=True)
def _redis():
    redis_binary()


@pytest.fixture
def plain(tmp_path):
    """A folder with the plain sample."""
    shutil.copy(SAMPLES / "check_fixtures.py", tmp_path)
    return tmp_path


@pytest.fixture
def django_shop(tmp_path):
    """A folder with the Django project."""
    pytest.importorskip("pytest_django", reason="needs pip install pytest-django")
    return shutil.copytree(SAMPLES / "django_shop", tmp_path / "django_shop")


@pytest.mark.parametrize(
    "options", [(), ("-n", "2", "-k", "batch or group")], ids=["one process", "two"]
)
def test_the_fixtures_of_a_plain_project_work(plain, options):
    """In one process, and in two with servers of their own."""
    done = run_pytest(plain, "check_fixtures.py", "-q", *options)

    assert 0 == done.returncode, done.stdout + done.stderr


def test_the_fixtures_work_with_pytest_django(django_shop):
    """In-memory database, eager test settings and a namespace of Django's."""
    done = run_pytest(django_shop, "check_shop.py", "-q", "-o", "pythonpath=.", "--ds", "settings")

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_the_fixtures_work_with_pytest_django_and_a_database_file(django_shop):
    """A database that every thread has its own connection to."""
    settings = django_shop / "settings.py"
    settings.write_text(
        settings.read_text() + "DATABASES['default']['TEST'] = {'NAME': 'test.sqlite3'}\n"
    )

    done = run_pytest(django_shop, "check_shop.py", "-q", "-o", "pythonpath=.", "--ds", "settings")

    assert 0 == done.returncode, done.stdout + done.stderr


def test_a_notification_without_a_good_signature_fails_the_test(tmp_path):
    """It is answered with 401, and the test that it came in is not green."""
    (tmp_path / "test_it.py").write_text(
        "import requests\n\ndef test_it(mulequeue_notifications):\n"
        "    answer = requests.post(mulequeue_notifications.url, json={})\n"
        "    assert 401 == answer.status_code\n"
        "    assert [] == mulequeue_notifications.received\n"
    )

    done = run_pytest(tmp_path, "-q")

    assert 1 == done.returncode
    assert "1 passed, 1 error" in done.stdout
    assert "Notifications without a valid signature arrived" in done.stdout
