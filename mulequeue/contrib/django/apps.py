"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig


class MuleQueueConfig(AppConfig):
    """Import, when Django starts, the modules that connect to signals or register themselves."""

    name = "mulequeue.contrib.django"
    label = "mulequeue"
    verbose_name = "MuleQueue"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mulequeue.contrib import enqueued  # noqa: F401
        from mulequeue.contrib.django import checks, expenses, mirror, on_commit  # noqa: F401
