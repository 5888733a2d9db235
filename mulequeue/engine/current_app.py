"""The Celery app of the calling thread.

Celery keeps the current app per thread and creates an app without settings for a thread that has none,
such as a thread of a web server. Its messages go to ``amqp://localhost``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import _state
from celery import current_app as celerys_current_app

from mulequeue.errors import ConfigurationError

context_lookups: list[Callable[[], Any]] = []
"""Functions that return the Celery app of a web framework's context, or None outside of one."""


def current_app() -> Any:
    """Return the app of the calling thread.

    It is the app of the running task, else of the web framework's context, else Celery's current or
    default app, else the only app of the process.

    :raises ConfigurationError: the process has several apps, and none of them is current or the default.
    """
    task = _state.get_current_worker_task()
    if task is not None:
        return task.app
    in_context = (lookup() for lookup in context_lookups)
    app = next((found for found in in_context if found is not None), None)
    app = app or _state._tls.current_app or _state.default_app
    if app is not None and not is_placeholder(app):
        return app
    apps = [found for found in _state._get_active_apps() if found.set_as_current]
    if len(apps) > 1:
        names = ", ".join(sorted(repr(found.main or "unnamed") for found in apps))
        raise ConfigurationError(
            f"This thread has no current Celery app, and the process has {len(apps)} ({names}). Call "
            "set_default() on one of them at start, or set_current() in this thread."
        )
    return apps[0] if apps else celerys_current_app._get_current_object()


def is_placeholder(app: Any) -> bool:
    """Return whether Celery created the app, without settings, because the thread had none."""
    return app.main == "default" and not app.fixups
