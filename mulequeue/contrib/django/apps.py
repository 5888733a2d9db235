"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig

_ON_COMMIT = ("delay_on_commit", "apply_async_on_commit")


class MuleQueueConfig(AppConfig):
    """Registers the mirror, the checks and the storage when Django starts."""

    name = "mulequeue.contrib.django"
    label = "mulequeue"
    verbose_name = "MuleQueue"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mulequeue.contrib.django import checks, filesystem, mirror

        checks.register()
        mirror.connect()
        filesystem.register()
        _add_on_commit()


def _add_on_commit() -> None:
    """Add ``delay_on_commit`` and ``apply_async_on_commit`` to mulequeue's tasks.

    Celery adds them only to tasks with its default base class.
    """
    from celery.contrib.django.task import DjangoTask

    from mulequeue.tasks.base import GenerateTask, LeasedTask

    for base in (GenerateTask, LeasedTask):
        for name in _ON_COMMIT:
            setattr(base, name, getattr(DjangoTask, name))
