"""The checks of mulequeue's settings in ``manage.py check``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.urls import NoReverseMatch, reverse

from mulequeue.engine.current_app import current_app, is_placeholder
from mulequeue.errors import ConfigurationError
from mulequeue.settings import Settings
from mulequeue.transfer.storage import check_storage

_PREFIX = "MULEQUEUE_"


@checks.register("mulequeue")
def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Check the settings without access to Redis, the database or the API."""
    app = current_app()
    if is_placeholder(app):
        missing = checks.Error(
            "Django does not import the project's Celery app, so no task reaches the broker.",
            hint="Add `from .celery import app as celery_app` to the __init__.py of the project's "
            'package, and `app.config_from_object("django.conf:settings", namespace="CELERY")` to '
            "its celery.py.",
            id="mulequeue.E002",
        )
        return [missing, *_misnamed("CELERY_")]
    found = list(_of_settings(app))  # loads them, with the prefix
    return [*found, *_misnamed(getattr(app.conf, "prefix", None))]


def _misnamed(namespace: str | None) -> Iterator[checks.CheckMessage]:
    for name in dir(django_settings):
        if namespace and name.startswith(_PREFIX):
            yield checks.Error(
                f"The setting {name} is never read: it lacks the prefix of Celery's namespace.",
                hint=f"Rename it to {namespace.upper()}{name}.",
                id="mulequeue.E003",
            )


def _of_settings(app: Any) -> Iterator[checks.CheckMessage]:
    try:
        settings = Settings.load(app)
    except ConfigurationError as exc:
        hint = "The reference of the settings lists all settings and their values."
        yield checks.Error(str(exc), hint=hint, id="mulequeue.E001")
        return
    try:
        check_storage(settings.storage, settings.storage_options)
    except ConfigurationError as exc:
        hint = 'Set CELERY_MULEQUEUE_STORAGE = "django://" to use the default storage.'
        yield checks.Error(str(exc), hint=hint, id="mulequeue.E004")
    if not settings.known_profiles():
        yield checks.Warning(
            "No API key is set. A web process needs none; a worker does.",
            hint="Set MULEROUTER_API_KEY in the workers' environment, or CELERY_MULEQUEUE_API_KEY.",
            id="mulequeue.W001",
        )
    if not settings.webhook_secret and _has_webhook_view():
        yield checks.Warning(
            "The URLconf contains the view for MuleRouter's webhooks, but no secret is set, so the view "
            "rejects every webhook.",
            hint="Set CELERY_MULEQUEUE_WEBHOOK_SECRET to the secret that MuleRouter's console showed "
            "when the endpoint was created.",
            id="mulequeue.W002",
        )


def _has_webhook_view() -> bool:
    try:
        return bool(reverse("mulequeue:webhook"))
    except (NoReverseMatch, AttributeError, ImportError):  # no URLconf, or not in it
        return False
