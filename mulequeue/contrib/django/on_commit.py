"""``send_on_commit`` for canvases; ``delay_on_commit`` and ``apply_async_on_commit`` of mulequeue's tasks.

These functions raise an error of the arguments immediately, so that the transaction rolls back. Celery's own
methods raise it at the commit, when the rows are already saved, and the later hooks do not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from celery import Signature
from django.db import transaction
from kombu.serialization import dumps

from mulequeue.tasks.base import GenerateTask, LeasedTask
from mulequeue.tasks.validating_task import ValidatingTask, validate_task_call


def send_on_commit(*canvases: Signature, using: str | None = None) -> None:
    """Send chains, batches and other canvases when the transaction commits, or at once outside of one.

    :param using: name of the database; None: the default one.
    :raises kombu.exceptions.EncodeError: the serializer of the messages rejects an argument. Nothing is sent.
    """
    for canvas in canvases:
        dumps(dict(canvas), serializer=canvas.app.conf.task_serializer)

    def send() -> None:
        for canvas in canvases:
            canvas.delay()

    transaction.on_commit(send, using=using)


def delay_on_commit(self: Any, *args: Any, **kwargs: Any) -> None:
    """Send the task when the transaction commits, see :func:`apply_async_on_commit`."""
    self.apply_async_on_commit(args, kwargs)


def apply_async_on_commit(
    self: Any,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    *rest: Any,
    **options: Any,
) -> None:
    """Send the task with options when the transaction commits, or at once outside of one.

    :raises InputError: the input or the task id is invalid.
    :raises TypeError: an argument is missing or unknown.
    :raises kombu.exceptions.EncodeError: the serializer of the messages rejects an argument.
    """
    given, named = tuple(args or ()), dict(kwargs or {})
    self.__header__(*given, **named)  # Celery's own check of the arguments
    if isinstance(self, ValidatingTask):
        validate_task_call(self, given, named)
    if task_id := options.get("task_id"):
        self.AsyncResult(task_id)  # checks the id
    dumps((given, named), serializer=options.get("serializer") or self.serializer)
    transaction.on_commit(partial(self.apply_async, args, kwargs, *rest, **options))


# Celery's methods of these names exist only in tasks with its default base class.
for _base in (GenerateTask, LeasedTask):
    _base.delay_on_commit = delay_on_commit
    _base.apply_async_on_commit = apply_async_on_commit
