"""The doctor's findings about Celery's settings."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from mulequeue.ops.health.celery_settings import (
    eta_limit,
    examine_celery,
    prefetch,
    result_expires,
    result_retry,
    visibility_timeout,
    worker_consumer,
)
from mulequeue.settings import Settings

APP = Celery("proj", set_as_current=False)
HOUR, DAY = 3600, 86400


def app_with(namespace: str | None = None, **settings: Any) -> Celery:
    app = Celery("proj", set_as_current=False)
    app.config_from_object(SimpleNamespace(**settings), namespace=namespace)
    return app


@pytest.mark.parametrize(
    ("seconds", "level"), [(30, "warning"), (119, "warning"), (120, "ok"), (None, "ok")]
)
def test_a_visibility_timeout_is_twice_the_longest_countdown(
    seconds: int | None, level: str
) -> None:
    """Below two minutes a waiting message can be delivered to a second worker."""
    finding = visibility_timeout(APP, seconds)

    assert level == finding.level
    assert ('{"visibility_timeout": 120}' in finding.fix) == (level == "warning")


@pytest.mark.parametrize(
    ("expires", "max_wait", "level"),
    [
        (HOUR, None, "warning"),
        (timedelta(hours=1), None, "warning"),
        (timedelta(days=1), None, "ok"),
        (7 * DAY, None, "ok"),
        (None, None, "ok"),
        (0, None, "ok"),
        (HOUR, HOUR, "ok"),
        (HOUR, HOUR + 1, "warning"),
        (DAY, 3 * DAY, "ok"),
    ],
)
def test_results_outlive_the_longest_wait(expires: Any, max_wait: float | None, level: str) -> None:
    """The longest wait is max_wait, and never above a day."""
    assert level == result_expires(APP, expires, max_wait).level


@pytest.mark.parametrize(
    ("consumer", "version", "level"),
    [
        ("celery.worker.consumer:Consumer", "5.7.0", "warning"),
        ("celery.worker.consumer:Consumer", "5.10.1", "warning"),
        ("celery.worker.consumer:Consumer", "5.6.2", "ok"),
        ("mulequeue.tasks.consumer:Consumer", "5.7.0", "ok"),
        ("nowhere.to:Find", "5.7.0", "warning"),
    ],
)
def test_a_worker_outlives_a_restart_of_redis(consumer: str, version: str, level: str) -> None:
    """From Celery 5.7 on this needs mulequeue's consumer."""
    assert level == worker_consumer(APP, consumer, version).level


@pytest.mark.parametrize(("given", "level"), [(True, "ok"), (False, "warning"), (None, "warning")])
def test_commands_to_a_redis_of_results_are_repeated(given: bool | None, level: str) -> None:
    """Celery's default is not to; other backends have no such setting."""
    assert level == result_retry(APP, given).level
    names = [
        {finding.id for finding in examine_celery(app_with(result_backend=url), Settings())}
        for url in ("redis://127.0.0.1:9/0", "db+sqlite:///results.sqlite")
    ]
    assert [True, False] == ["result-retry" in found for found in names]


@pytest.mark.parametrize(("multiplier", "level"), [(1, "ok"), (4, "warning"), (0, "warning")])
def test_a_worker_reserves_one_message_a_slot(multiplier: int, level: str) -> None:
    """More than one is a warning."""
    assert level == prefetch(APP, multiplier).level


@pytest.mark.parametrize(("limit", "level"), [(None, "ok"), (100, "warning"), (1, "warning")])
def test_countdown_messages_keep_no_worker_from_the_poll_loop(
    limit: int | None, level: str
) -> None:
    """A limit of them is a warning; Celery before 5.6 has no such setting."""
    finding = eta_limit(APP, limit)

    assert level == finding.level
    assert limit is None or "-Q mulequeue.poll,mulequeue.wake" in finding.fix


def test_the_recommended_settings_are_fine() -> None:
    """With them every check passes."""
    app = Celery("proj", set_as_current=False)
    app.config_from_object("mulequeue.recommended")

    assert {"ok"} == {finding.level for finding in examine_celery(app, Settings())}


def test_a_fix_is_spelled_as_the_project_spells_its_settings() -> None:
    """With a namespace (Django) the line to set starts with it."""
    plain = app_with(broker_url="redis://127.0.0.1:9/0")
    django = app_with("CELERY", CELERY_BROKER_URL="redis://127.0.0.1:9/0")

    fixes = [
        {finding.id: finding.fix for finding in examine_celery(app, Settings())}["prefetch"]
        for app in (plain, django)
    ]

    assert "  worker_prefetch_multiplier = 1" in fixes[0]
    assert "  CELERY_WORKER_PREFETCH_MULTIPLIER = 1" in fixes[1]


def test_rabbitmq_has_no_visibility_timeout() -> None:
    """Checks of Redis brokers are skipped for other brokers."""
    app = app_with(broker_url="amqp://127.0.0.1:9")

    names = {finding.id for finding in examine_celery(app, Settings())}

    assert {"result-expires", "prefetch", "eta-limit"} == names
