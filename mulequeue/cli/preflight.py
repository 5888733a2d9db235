"""Load the app and its settings, and check servers and inputs before anything is enqueued or sent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import click
from redis.exceptions import RedisError

from mulequeue.catalog import Model
from mulequeue.catalog.defaults import with_defaults
from mulequeue.catalog.inputs import check_input
from mulequeue.catalog.validation.calls import mode_of, validate_input, validate_inputs
from mulequeue.cli.output import print_message
from mulequeue.cli.values import folders_of, parse_metadata
from mulequeue.engine.generation_call import check_fair_key
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.ledger import Ledger
from mulequeue.ledger.probe import probe_connection
from mulequeue.settings import Settings
from mulequeue.settings.redaction import redact

CONNECT_SECONDS = 2.5
"""Time limit for the answer of Redis or the broker."""


def app_of(ctx: click.Context) -> Any:
    """Return the Celery app of ``celery -A proj``, else the app of :mod:`mulequeue.celery`."""
    given = getattr(ctx.obj, "app", None)
    if given is not None and given.main not in (None, "default"):
        # Imports the tasks of the project, and in a Django project the apps, whose storage may be used.
        given.loader.import_default_modules()
        return given
    from mulequeue.celery import app

    return app


def name_of(app: Any) -> str:
    """Return the argument for ``celery -A``: as the user typed it, else the app's name or ``proj``."""
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


@dataclass(frozen=True, kw_only=True)
class Call:
    """The checked options of ``run`` or ``batch``: model, inputs, storage and limits."""

    app: Any
    settings: Settings
    model: Model
    inputs: list[dict[str, Any]]
    """With the values of ``mulequeue_defaults`` for the model in the fields that they lack."""
    storage: str
    """Folder or URL of the files."""
    paths: tuple[str, ...] = ()
    """The path template of each input's files; empty: ``mulequeue_storage_path`` applies."""
    validate: str | None
    metadata: dict[str, Any] = field(default_factory=dict)
    fair_key: str | None = None
    poll_interval: float | None = None
    max_wait: float | None
    notify: str | None = None
    local: bool
    quiet: bool
    as_json: bool
    notes: tuple[str, ...] = ()
    """Warnings of :func:`check_inputs` and other notes, to print before anything is sent."""

    @classmethod
    def of(
        cls,
        ctx: click.Context,
        model: Model,
        inputs: list[dict[str, Any]],
        *,
        params: tuple[str, ...],
        output: str | None,
        metadata: tuple[str, ...],
        fair_key: str | None,
        **options: Any,
    ) -> Self:
        """Load the settings and check the options. ``--local`` adds the folders of typed files to ``input_roots``."""
        app = app_of(ctx)
        settings = settings_of(app)
        storage = storage_of(output, settings)
        check_fair_key(fair_key)
        if options["local"] and fair_key is not None:
            raise InputError("--fair-key needs workers; omit it with --local.")
        if options["local"]:
            roots = (*settings.input_roots, *folders_of(params))
            settings = replace(settings, input_roots=roots)
        inputs = [with_defaults(settings.defaults, model, item) for item in inputs]
        return cls(
            app=app,
            settings=settings,
            model=model,
            inputs=inputs,
            storage=storage,
            metadata=parse_metadata(metadata),
            fair_key=fair_key,
            **options,
        )


# Servers


def ledger_to_write(app: Any) -> Ledger:
    """Return the ledger for a command that enqueues, after checking Redis, the broker and the keys.

    :raises ConfigurationError: Redis or the broker does not answer within about three seconds.
    """
    settings = settings_of(app)
    check_redis(settings.redis_url)
    check_broker(app, settings)
    warn_of_keys(app, settings)
    from mulequeue.engine.worker_context import worker_context

    return worker_context(app).ledger


def warn_of_keys(app: Any, settings: Settings) -> None:
    """Print a warning for each key of this process that belongs to another site than its host.

    The workers may have other keys, so this is not an error. Profiles without a key are skipped.
    """
    from mulequeue.ops.health.account import wrong_site

    found = [wrong_site(app, profile) for profile in settings.all_profiles() if profile.api_key]
    print_notes([f"Warning: {finding.text} {finding.fix}" for finding in found if finding])


def ledger_to_read(settings: Settings) -> Ledger:
    """Return the ledger for a command that only reads it, so that no broker is needed.

    :raises ConfigurationError: Redis does not answer.
    """
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
    """Return why the Redis at the URL cannot be used, or None if it answers."""
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
    """Raise ConfigurationError unless the broker answers. Skip the check if it is the ledger's Redis."""
    if (app.conf.broker_write_url or app.conf.broker_url) == settings.redis_url:
        return
    from mulequeue.ops.health.workers import broker

    found = broker(app, CONNECT_SECONDS)
    if found.level == "error":
        raise ConfigurationError(
            f"{found.text} Start it, or set broker_url (MULEQUEUE_BROKER_URL)."
        )


# Inputs


def check_inputs(call: Call, places: Sequence[str] = ()) -> Call:
    """Return the call with warnings about inputs that the model may not accept.

    :param places: the place of each input in its file, for messages; empty: the call has one typed input.
    :raises InputError: an input cannot be sent, or its validation has failed.
    """
    warnings: list[str] = []
    settings, model, inputs = call.settings, call.model, call.inputs
    mode = mode_of(call.validate, settings.validate)
    for index, item in enumerate(inputs):
        try:
            check_input(item, settings.input_roots, max_bytes=settings.input_max_bytes)
        except InputError as exc:
            raise InputError(f"{places[index]}: {exc}" if places else str(exc)) from None
    if places:
        validate_inputs(model, inputs, mode, row=places.__getitem__, warn=warnings.append)
    else:
        validate_input(model, inputs[0], mode, warn=warnings.append)
    return replace(call, notes=tuple(f"Warning: {text}" for text in warnings))


def print_notes(notes: Sequence[str]) -> None:
    """Print notes and warnings on standard error, one per line."""
    for text in notes:
        print_message(text)


def storage_of(output: str | None, settings: Settings) -> str:
    """Return the folder of the files as an absolute path, or the URL.

    :raises ConfigurationError: the storage cannot be used or the folder cannot be written.
    """
    from mulequeue.transfer.storage import check_storage

    place = output or settings.storage
    if "://" not in place:
        place = os.path.abspath(os.path.expanduser(place))
    same = place.partition("://")[0] == settings.storage.partition("://")[0]
    check_storage(place, settings.storage_options if same else {})
    return place


def check_notification(target: str | None, settings: Settings) -> None:
    """Raise InputError if notifications may not be sent to the target. Warn if their secret is unusable."""
    if target is None:
        return
    from mulequeue.transfer.notifications import check_secret, check_target

    check_target(target, settings)
    try:
        check_secret(settings)
    except ConfigurationError as exc:  # only the workers need the secret
        print_message(f"Warning: the workers need a setting that is missing here: {exc}")
