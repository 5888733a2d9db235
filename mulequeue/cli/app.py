"""The app, its settings and its ledger, found usable before anything is enqueued."""

from __future__ import annotations

from typing import Any

import click
from redis.exceptions import RedisError

from mulequeue.errors import ConfigurationError
from mulequeue.ledger import Ledger
from mulequeue.ledger.probe import probe_connection
from mulequeue.settings import Settings
from mulequeue.settings.redaction import redact

TIMEOUT_SECONDS = 2.5
"""How long a server may take to answer at all."""


def app_of(ctx: click.Context) -> Any:
    """The Celery app: of ``celery -A proj``, else the standalone one."""
    given = getattr(ctx.obj, "app", None)
    if given is not None and given.main not in (None, "default"):
        return given
    from mulequeue.celery import app

    return app


def settings_of(app: Any) -> Settings:
    """The settings of an app.

    :raises ConfigurationError: mulequeue's, or one of Celery's own that it cannot use.
    """
    try:
        return Settings.load(app)
    except ConfigurationError:
        raise
    except Exception as exc:
        raise ConfigurationError(f"The Celery configuration cannot be used: {exc}") from exc


def ledger_of(app: Any) -> Ledger:
    """The ledger, after a look whether its Redis and the broker answer.

    :raises ConfigurationError: one of them does not, within about three seconds.
    """
    settings = settings_of(app)
    check_redis(settings.redis_url)
    check_broker(app, settings)
    from mulequeue.engine.worker_context import worker_context

    return worker_context(app).ledger


def check_redis(url: str) -> None:
    """Raise ConfigurationError unless a Redis answers at the URL."""
    why = redis_problem(url)
    if why is not None:
        raise ConfigurationError(
            f"Redis at {redact(url)} does not answer: {why}. "
            "Start one with `redis-server`, or set MULEQUEUE_REDIS_URL."
        )


def redis_problem(url: str) -> str | None:
    """Why a Redis cannot be used, or None."""
    try:
        client = probe_connection(url, TIMEOUT_SECONDS)
    except (ConfigurationError, ValueError) as exc:
        return f"the URL cannot be used ({redact(str(exc))})"
    try:
        client.ping()
    except (RedisError, OSError) as exc:
        return redact(" ".join(str(exc).rstrip(".").split())) or type(exc).__name__
    finally:
        client.close()
    return None


def check_broker(app: Any, settings: Settings) -> None:
    """Raise ConfigurationError unless the broker answers; the ledger's own Redis is known to."""
    url = app.conf.broker_write_url or app.conf.broker_url
    if url == settings.redis_url:
        return
    connection = app.connection_for_write(connect_timeout=TIMEOUT_SECONDS)
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=TIMEOUT_SECONDS)
    except Exception as exc:
        why = " ".join(str(exc).rstrip(".").split()) or type(exc).__name__
        raise ConfigurationError(
            f"The broker at {redact(connection.as_uri())} does not answer: {redact(why)}. "
            "Start it, or set broker_url (MULEQUEUE_BROKER_URL)."
        ) from None
    finally:
        connection.release()


def name_of(app: Any) -> str:
    """What stands behind ``celery -A`` for this app: as it was typed, else by its name."""
    context = click.get_current_context(silent=True)
    typed = context.find_root().params.get("app") if context is not None else None
    return str(typed or app.main or "proj")
