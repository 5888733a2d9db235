"""A ``shared_task`` that works in every thread, and for apps that lack their shared tasks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import celery
from celery.local import Proxy

from mulequeue.engine.current_app import current_app

_tasks: dict[str, Callable[[Any], Any]] = {}
"""Task name -> function that registers the task with an app."""


def shared_task(*, name: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Register a task with every app, and return a proxy of the task of :func:`current_app`."""

    def register(function: Callable[..., Any]) -> Any:
        celery.shared_task(name=name, **options)(function)
        _tasks[name] = lambda app: app.task(name=name, lazy=False, shared=False, **options)(
            function
        )
        return Proxy(partial(_task_of_current_app, name))

    return register


def add_missing(app: Any) -> None:
    """Register the shared tasks that an app lacks.

    Celery's pytest fixtures make every app of a test forget the shared tasks that an earlier test
    imported.
    """
    for name in _tasks.keys() - app.tasks.keys():
        _tasks[name](app)


def _task_of_current_app(name: str) -> Any:
    app = current_app()
    if name not in app.tasks:
        add_missing(app)
    return app.tasks[name]
