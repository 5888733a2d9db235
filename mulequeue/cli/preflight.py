"""The app, its settings and its servers, and checks before anything is enqueued or sent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from redis.exceptions import RedisError

from mulequeue.cli.output import print_message
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.settings import Settings
from mulequeue.settings.redaction import redact

if TYPE_CHECKING:
    from mulequeue.catalog import Model
    from mulequeue.ledger import Ledger

CONNECT_SECONDS = 2.5
"""The time limit for a server to answer."""
_SCHEME_END = "://"


def app_of(ctx: click.Context) -> Any:
    """Return the Celery app of ``celery -A proj``, else the standalone one."""
    given = getattr(ctx.obj, "app", None)
    if given is not None and given.main not in (None, "default"):
        return given
    from mulequeue.celery import app

    return app


def name_of(app: Any) -> str:
    """Return the argument of ``celery -A`` for this app: as it was typed, else the app's name."""
    context = click.get_current_context(silent=True)
    typed = context.find_root().params.get("app") if context is not None else None
    return str(typed or app.main or "proj")


def settings_of(app: Any) -> Settings:
    """Return the settings of an app.

    :raises ConfigurationError: a setting of mulequeue or of Celery cannot be used.
    """
    try:
        return Settings.load(app)
    except ConfigurationError:
        raise
    except Exception as exc:
        raise ConfigurationError(f"The Celery configuration cannot be used: {exc}") from exc


# Servers


def ledger_to_write(app: Any) -> Ledger:
    """Return the ledger of an app that is going to enqueue.

    :raises ConfigurationError: Redis or the broker does not answer within about three seconds.
    """
    settings = settings_of(app)
    check_redis(settings.redis_url)
    check_broker(app, settings)
    from mulequeue.engine.worker_context import worker_context

    return worker_context(app).ledger


def ledger_to_read(settings: Settings) -> Ledger:
    """Return the ledger; no broker is needed.

    :raises ConfigurationError: Redis does not answer.
    """
    from mulequeue.ledger import Ledger

    check_redis(settings.redis_url)
    return Ledger.of(settings)


def check_redis(url: str) -> None:
    """Raise ConfigurationError unless a Redis answers at the URL."""
    problem = redis_problem(url)
    if problem is not None:
        raise ConfigurationError(
            f"Redis at {redact(url)} does not answer: {problem}. "
            "Start one with `redis-server`, or set MULEQUEUE_REDIS_URL."
        )


def redis_problem(url: str) -> str | None:
    """Return why a Redis cannot be used, or None."""
    from mulequeue.ledger.probe import probe_connection

    try:
        client = probe_connection(url, CONNECT_SECONDS)
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
    """Raise ConfigurationError unless the broker answers; skip it if it is the ledger's Redis."""
    if (app.conf.broker_write_url or app.conf.broker_url) == settings.redis_url:
        return
    from mulequeue.ops.health.workers import broker

    found = broker(app, CONNECT_SECONDS)
    if found.level == "error":
        raise ConfigurationError(
            f"{found.text} Start it, or set broker_url (MULEQUEUE_BROKER_URL)."
        )


# Inputs


def check_inputs(
    inputs: Sequence[dict[str, Any]],
    settings: Settings,
    model: Model,
    *,
    validate: str | None = None,
    where: str = "",
) -> list[str]:
    """Return warnings about inputs that may be wrong.

    :param validate: the option; None: the setting.
    :param where: the file the inputs are from, for the messages.
    :raises InputError: an input cannot be sent, or the model does not accept it.
    """
    from mulequeue.catalog.inputs import check_input
    from mulequeue.catalog.validation.calls import mode_of, validate_input, validate_inputs

    warnings: list[str] = []
    mode = mode_of(validate, settings.validate)
    for number, item in enumerate(inputs, 1):
        try:
            check_input(item, settings.input_roots, max_bytes=settings.input_max_bytes)
        except InputError as exc:
            if not where:
                raise
            raise InputError(f"{where}, prompt {number}: {exc}") from None
    if len(inputs) == 1 and not where:
        validate_input(model, inputs[0], mode, warn=warnings.append)
        return warnings
    prefix = f"{where}, " if where else ""

    def row(index: int) -> str:
        return f"{prefix}prompt {index + 1}"

    validate_inputs(model, inputs, mode, row=row, warn=warnings.append)
    return warnings


def print_warnings(warnings: Sequence[str]) -> None:
    """Print warnings on standard error, one per line."""
    for text in warnings:
        print_message(f"Warning: {text}")


def storage_of(output: str | None, settings: Settings) -> str:
    """Return the folder of the files as an absolute path, or the URL.

    :raises ConfigurationError: it cannot be written.
    """
    from mulequeue.transfer.storage import check_storage

    place = output or settings.storage
    if _SCHEME_END not in place:
        place = os.path.abspath(os.path.expanduser(place))
    same = place.partition(_SCHEME_END)[0] == settings.storage.partition(_SCHEME_END)[0]
    check_storage(place, settings.storage_options if same else {})
    return place


def check_notification(target: str | None, settings: Settings) -> None:
    """Raise ConfigurationError for a target that notifications may not be sent to."""
    if target is None:
        return
    from mulequeue.transfer.notifications import check_secret, check_target

    check_target(target, settings)
    try:
        check_secret(settings)
    except ConfigurationError as exc:  # only the workers need it
        print_message(f"Warning: the workers need a setting that is missing here: {exc}")
