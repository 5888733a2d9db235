"""The base of the tasks: what they send carries lines a person can read (:mod:`mulequeue.engine.display`)."""

from __future__ import annotations

from typing import Any

from celery import Task

from mulequeue.engine.display import format_args, format_kwargs
from mulequeue.engine.queues import NULL_DISPATCHER


class RedactedTask(Task):  # type: ignore[misc]  # Celery publishes no types
    """A task that never shows an input, an outcome or a receiver's path."""

    abstract = True
    Request = "mulequeue.tasks.request:RedactedRequest"

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Celery's own, with ``argsrepr`` and ``kwargsrepr`` unless the caller gives them."""
        if options.get("argsrepr") is None:
            options["argsrepr"] = format_args(self.name, args, kwargs)
        if options.get("kwargsrepr") is None:
            options["kwargsrepr"] = format_kwargs(kwargs)
        return super().apply_async(args, kwargs, *rest, **options)


class EventlessTask(RedactedTask):
    """A task that sends no events.

    The poll loop runs twice a second for days: Flower, which remembers 100,000 tasks, would
    soon remember nothing else. ``celery inspect scheduled`` shows its message all the same.
    """

    abstract = True
    send_events = False  # of the worker

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Celery's own, without the event ``task-sent``."""
        return super().apply_async(args, kwargs, *rest, event_dispatcher=NULL_DISPATCHER, **options)
