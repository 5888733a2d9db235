"""mulequeue's tasks for Django's interface of background tasks (Django 6).

The setting ``TASKS`` needs a backend for these tasks::

    TASKS = {
        "default": {"BACKEND": …},      # for the project's own tasks
        "mulequeue": {"BACKEND": "mulequeue.contrib.django.task_backend.MuleQueueBackend"},
    }

Each task returns a function that makes the Celery signature from the id of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from celery import Signature, chain
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.tasks import task

import mulequeue

BACKEND = "mulequeue.contrib.django.task_backend.MuleQueueBackend"
Make = Callable[[str], Signature]


def _alias() -> str:
    """Return the alias of mulequeue's backend in the setting ``TASKS``."""
    for alias, given in settings.TASKS.items():
        if given.get("BACKEND") == BACKEND:
            return str(alias)
    raise ImproperlyConfigured(
        f'No backend in TASKS runs mulequeue\'s tasks. Add "mulequeue": {{"BACKEND": "{BACKEND}"}}.'
    )


_task = task(backend=_alias())


@_task
def generate(model: str, input: Mapping[str, Any], **call: Any) -> Make:
    """Make one generation. The ``return_value`` of the result is the outcome as a dict.

    The arguments are those of :func:`mulequeue.generate`.
    """
    signature = mulequeue.generate.s(model, input, **call)
    return lambda result_id: signature.set(task_id=result_id)


@_task
def generate_files(model: str, input: Mapping[str, Any], **call: Any) -> Make:
    """Make one generation and store its files. The ``return_value`` is the outcome as a dict with ``files``."""
    signature = mulequeue.generate.s(model, input, **call)
    return lambda result_id: chain(signature.set(task_id=result_id), mulequeue.download.s())


@_task
def generate_many(model: str, inputs: Sequence[Mapping[str, Any]], **call: Any) -> Make:
    """Make one generation per input. The ``return_value`` is the list of the members' outcomes in short form.

    The arguments are those of :func:`mulequeue.generate_many`; the id of the result is the batch id.
    """
    return lambda result_id: mulequeue.generate_many(model, inputs, batch_id=result_id, **call)


@_task
def adopt(api_path: str, remote_id: str, **call: Any) -> Make:
    """Wait for a generation that exists already. The arguments are those of :func:`mulequeue.adopt`."""
    signature = mulequeue.adopt.s(api_path, remote_id, **call)
    return lambda result_id: signature.set(task_id=result_id)
