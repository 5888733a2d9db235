"""The checks of mulequeue's settings in ``manage.py check``.

==================  =============================================================================
``mulequeue.E001``  a setting is unknown or has an invalid value
``mulequeue.E002``  Django does not import the project's Celery app
``mulequeue.E003``  a setting lacks the prefix of Celery's namespace, so it is never read
``mulequeue.E004``  the storage is invalid
``mulequeue.W001``  no API key is set; a worker needs one, a web process does not
``mulequeue.W002``  the URLconf contains the view for webhooks, but no secret is set
==================  =============================================================================
"""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.urls import NoReverseMatch, reverse

from mulequeue.engine.current_app import current_app, is_placeholder
from mulequeue.errors import ConfigurationError
from mulequeue.settings import Settings
from mulequeue.transfer.storage import check_storage

WEBHOOK_VIEW = "mulequeue:webhook"
_PREFIX = "MULEQUEUE_"


def register() -> None:
    """Register the checks with Django."""
    checks.register(check_settings, "mulequeue")


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Check the settings without access to Redis, the database or the API."""
    app = current_app()
    if is_placeholder(app):
        return [_no_app(), *_misnamed(None)]
    try:
        settings = Settings.load(app)
    except ConfigurationError as exc:
        hint = "The reference of the settings lists all settings and their values."
        return [checks.Error(str(exc), hint=hint, id="mulequeue.E001"), *_misnamed(app)]
    return [*_misnamed(app), *_storage(settings), *_key(settings), *_webhooks(settings)]


def _no_app() -> checks.CheckMessage:
    return checks.Error(
        "Django does not import the project's Celery app, so no task reaches the broker.",
        hint="Add `from .celery import app as celery_app` to the __init__.py of the project's "
        'package, and `app.config_from_object("django.conf:settings", namespace="CELERY")` to its '
        "celery.py.",
        id="mulequeue.E002",
    )


def _misnamed(app: Any) -> list[checks.CheckMessage]:
    namespace = getattr(app.conf, "prefix", None) if app is not None else "CELERY_"
    if not namespace:
        return []
    return [
        checks.Error(
            f"The setting {name} is never read: it lacks the prefix of Celery's namespace.",
            hint=f"Rename it to {namespace.upper()}{name}.",
            id="mulequeue.E003",
        )
        for name in dir(django_settings)
        if name.startswith(_PREFIX)
    ]


def _storage(settings: Settings) -> list[checks.CheckMessage]:
    try:
        check_storage(settings.storage, settings.storage_options)
    except ConfigurationError as exc:
        hint = 'Set CELERY_MULEQUEUE_STORAGE = "django://" to use the default storage.'
        return [checks.Error(str(exc), hint=hint, id="mulequeue.E004")]
    return []


def _key(settings: Settings) -> list[checks.CheckMessage]:
    if settings.known_profiles():
        return []
    return [
        checks.Warning(
            "No API key is set. A web process needs none; a worker does.",
            hint="Set MULEROUTER_API_KEY in the workers' environment, or CELERY_MULEQUEUE_API_KEY.",
            id="mulequeue.W001",
        )
    ]


def _webhooks(settings: Settings) -> list[checks.CheckMessage]:
    try:
        reverse(WEBHOOK_VIEW)
    except (NoReverseMatch, AttributeError, ImportError):  # no URLconf, or not in it
        return []
    if settings.webhook_secret:
        return []
    return [
        checks.Warning(
            "The URLconf contains the view for MuleRouter's webhooks, but no secret is set, so the view "
            "rejects every webhook.",
            hint="Set CELERY_MULEQUEUE_WEBHOOK_SECRET to the secret that MuleRouter's console showed "
            "when the endpoint was created.",
            id="mulequeue.W002",
        )
    ]
