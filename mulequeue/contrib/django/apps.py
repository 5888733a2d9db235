"""What happens when Django starts."""

from __future__ import annotations

from django.apps import AppConfig

_ON_COMMIT = ("delay_on_commit", "apply_async_on_commit")


class MuleQueueConfig(AppConfig):
    """Connects the mirror, the checks and the storage."""

    name = "mulequeue.contrib.django"
    label = "mulequeue"
    verbose_name = "MuleQueue"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mulequeue.contrib.django import checks, filesystem, mirror

        checks.register()
        mirror.connect()
        filesystem.register()
        _give_on_commit()


def _give_on_commit() -> None:
    """``generate.delay_on_commit(…)``, as every other task of a Django project has it.

    Celery gives it to tasks without a base class of their own; ours have one.
    """
    from celery.contrib.django.task import DjangoTask

    from mulequeue.tasks.base import GenerateTask, LeasedTask

    for base in (GenerateTask, LeasedTask):
        for name in _ON_COMMIT:
            setattr(base, name, getattr(DjangoTask, name))
