"""Set Celery's current app in the context of each Flask app, of which a process may have several."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from celery import Celery, _state
from flask import Flask, appcontext_pushed, current_app, g, has_app_context

from mulequeue.engine.current_app import context_lookups
from mulequeue.errors import ConfigurationError
from mulequeue.settings import Settings

_celery_apps: WeakSet[Celery] = WeakSet()


def follow_context(app: Flask) -> None:
    """Make the Celery app of a Flask app current while a context of the Flask app is active."""
    _celery_apps.add(app.extensions["celery"])
    app.teardown_appcontext(_leave)


@appcontext_pushed.connect
def _enter(app: Flask, **_: Any) -> None:
    """Make the Celery app current in the thread, also for the shared tasks of the project."""
    celery: Any = app.extensions.get("celery")
    if celery in _celery_apps and "mulequeue_previous" not in g:
        g.mulequeue_previous = _state._tls.current_app
        celery.set_current()


def _leave(_: BaseException | None) -> None:
    if "mulequeue_previous" in g:
        _state._set_current_app(g.pop("mulequeue_previous"))


def _celery_of_context() -> Celery | None:
    """Return the Celery app of the active Flask app, or None.

    It is needed because an asynchronous view runs in another thread than the one in which its context was pushed.

    :raises ConfigurationError: no Flask app is active, and the process has Flask apps with different brokers or
        ledgers.
    """
    if has_app_context():
        celery = current_app.extensions.get("celery")
        return celery if celery in _celery_apps else None
    if _state._tls.current_app is None and _state.default_app in _celery_apps:
        places = {(app.conf.broker_url, Settings.load(app).redis_url) for app in _celery_apps}
        if len(places) > 1:
            raise ConfigurationError(
                f"This process has Flask apps with {len(places)} brokers. Call mulequeue inside of "
                "`with app.app_context():`."
            )
    return None


context_lookups.append(_celery_of_context)
