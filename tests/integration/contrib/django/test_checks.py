"""What can be said of a project before it runs."""

from __future__ import annotations

import pytest
from support.django_project import DjangoProject


def test_nothing_is_missing_from_the_migrations(still_project: DjangoProject) -> None:
    """``makemigrations --check`` finds nothing to do."""
    done = still_project.manage("makemigrations", "--check", "--dry-run")

    assert 0 == done.returncode, done.stdout


def test_migrations_can_be_undone(still_project: DjangoProject) -> None:
    """Every index and constraint has a name, and the tables can go and come back."""
    plan = still_project.manage("sqlmigrate", "mulequeue", "0001", "--backwards")

    assert 0 == plan.returncode
    assert "DROP TABLE" in plan.stdout


@pytest.mark.parametrize(
    ("identity", "more", "hint"),
    [
        ("E001", "CELERY_MULEQUEUE_API_KEE = 'k'", "mulequeue_api_key"),
        ("E001", "CELERY_MULEQUEUE_MAX_IN_FLIGHT = 'many'", "a whole number from 1"),
        ("E003", "MULEQUEUE_API_KEY = 'k'", "Rename it to CELERY_MULEQUEUE_API_KEY"),
        ("E004", "CELERY_MULEQUEUE_STORAGE = 'nowhere://x'", "CELERY_MULEQUEUE_STORAGE"),
        ("W001", "CELERY_MULEQUEUE_API_KEY = None", "MULEROUTER_API_KEY"),
        ("W002", "CELERY_MULEQUEUE_WEBHOOK_SECRET = ()", "CELERY_MULEQUEUE_WEBHOOK_SECRET"),
    ],
)
def test_check_finds_a_wrong_setting(
    still_project: DjangoProject, identity: str, more: str, hint: str
) -> None:
    """``manage.py check`` reports each fault with an id and its fix."""
    done = still_project.manage("check", more=more)

    assert f"(mulequeue.{identity})" in done.stderr
    assert hint in done.stderr
    assert int(identity.startswith("E")) == done.returncode


def test_check_finds_a_forgotten_app(still_project: DjangoProject) -> None:
    """A project whose package does not import its Celery app gets an error with the line to add."""
    package = still_project.folder / "shop" / "__init__.py"
    text = package.read_text()
    package.write_text("")
    try:
        done = still_project.manage("check")
    finally:
        package.write_text(text)

    assert "(mulequeue.E002)" in done.stderr
    assert "from .celery import app as celery_app" in done.stderr


def test_check_is_content_with_a_good_project(still_project: DjangoProject) -> None:
    """A project that is set up as the documentation shows has no issues."""
    done = still_project.manage("check")

    assert "System check identified no issues" in done.stdout
