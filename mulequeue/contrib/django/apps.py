"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig


class MuleQueueConfig(AppConfig):
    """Registers the mirror, the checks and the storage when Django starts."""

    name = "mulequeue.contrib.django"
    label = "mulequeue"
    verbose_name = "MuleQueue"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mulequeue.contrib import enqueued  # noqa: F401  (connects a signal)
        from mulequeue.contrib.django import checks, expenses, filesystem, mirror, on_commit

        checks.register()
        mirror.connect()
        expenses.register()
        filesystem.register()
        on_commit.add_to_tasks()
