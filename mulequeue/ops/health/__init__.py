"""The doctor: check everything on which a fleet depends, and report each fault with its fix."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from typing import Any

from redis.exceptions import RedisError

from mulequeue.errors import ConfigurationError
from mulequeue.ledger import Ledger
from mulequeue.ledger.probe import probe_connection
from mulequeue.ops.health import redis_server, storage_target, workers
from mulequeue.ops.health.account import examine_account, unusable_profiles
from mulequeue.ops.health.celery_settings import examine_celery
from mulequeue.ops.health.check_result import (
    Finding,
    error,
    of_configuration,
    passed,
    setting_name,
    warning,
)
from mulequeue.ops.health.records import examine_records
from mulequeue.ops.health.submissions import examine_submissions
from mulequeue.settings import Settings

__all__ = ["Finding", "examine", "warn_at_start"]

logger = logging.getLogger("mulequeue")

_AT_START = ("result-expires", "visibility-timeout")
_Check = Callable[[], list[Finding]]
PROBE_TIMEOUT_SECONDS = 2.5
"""Time limit for connecting to Redis or the broker, and for each answer of Redis."""


def examine(
    app: Any, settings: Settings | None = None, *, command: str | None = None
) -> list[Finding]:
    """Run all checks, which takes some seconds, and return their findings. It never raises.

    The checks cause no charges. They change nothing; a test file in a remote storage is removed.

    :param settings: None: load the settings of the app; an error becomes a finding.
    :param command: the command that starts a worker; None: ``celery -A <the app's name> worker``.
    """
    command = command or f"celery -A {app.main or 'proj'} worker"
    if settings is None and is_unconfigured(app):
        return [
            warning(
                "settings",
                "Nothing was checked: there are no settings of a project here, only the defaults of "
                "the standalone app.",
                "Run the doctor in the folder of your project, or name its app. For the standalone app "
                "name its Redis:\n"
                "  celery -A proj mulequeue doctor\n"
                "  python manage.py mulequeue doctor\n"
                "  export MULEQUEUE_REDIS_URL=redis://127.0.0.1:6379/0",
            )
        ]
    try:
        settings = settings or Settings.load(app)
    except ConfigurationError as exc:
        fix = "Correct it: until then no worker accepts generations."
        return [of_configuration("settings", exc, fix)]
    except Exception as exc:
        text = f"The Celery configuration cannot be loaded: {exc}"
        return [error("settings", text, "Correct it: until then no worker starts.")]
    return list(_checks(app, settings, command))


def is_unconfigured(app: Any) -> bool:
    """Return whether an app is the standalone app, without ``celeryconfig`` and variables of mulequeue."""
    has_variables = any(name.startswith(("MULEQUEUE_", "MULEROUTER_")) for name in os.environ)
    return app.main == "mulequeue" and not find_spec("celeryconfig") and not has_variables


def _source_of(app: Any) -> str:
    """Return a short description of where the settings of an app come from."""
    if getattr(app.conf, "prefix", None) and os.environ.get("DJANGO_SETTINGS_MODULE"):
        return f"settings {os.environ['DJANGO_SETTINGS_MODULE']}"
    if app.main != "mulequeue":
        return "settings of the project"
    found = find_spec("celeryconfig")
    return f"settings {found.origin}" if found else "settings from the environment"


def _checks(app: Any, settings: Settings, command: str) -> Iterator[Finding]:
    judged = f"app {app.main or 'unnamed'}, {_source_of(app)}, fleet {settings.fleet}"
    yield passed("settings", f"The settings are valid ({judged}).")
    redis, offset = _redis(app, settings)
    yield from redis
    yield from _guard("workers", lambda: _workers(app, settings, offset or 0.0, command))
    if offset is not None:
        yield from _guard("records", lambda: _records(app, settings, command))
    yield from _guard("key", lambda: examine_account(app, settings))
    yield from _guard("storage", lambda: [storage_target.storage(app, settings)])
    yield storage_target.storage_path(settings.storage_path)
    yield from _guard("celery", lambda: examine_celery(app, settings))


def _guard(id: str, check: _Check) -> list[Finding]:
    """Return the findings of a check; an exception becomes a finding."""
    try:
        return check()
    except Exception as exc:
        text = f"This check failed: {type(exc).__name__}: {exc}"
        return [error(id, text, "Fix the cause that the error names, then run the doctor again.")]


def _redis(app: Any, settings: Settings) -> tuple[list[Finding], float | None]:
    """Return the findings about Redis, and the seconds by which this machine's clock is ahead of Redis' clock.

    The seconds are None if Redis does not answer or its URL is invalid.
    """
    url = settings.redis_url
    try:
        with probe_connection(url, PROBE_TIMEOUT_SECONDS) as client:
            offset, latency = redis_server.clock_offset(client)
            facts = redis_server.read_facts(client)
    except ConfigurationError as exc:
        return [of_configuration("redis", exc)], None
    except (RedisError, OSError) as exc:
        setting = setting_name(app, "mulequeue_redis_url")
        return [redis_server.unreachable(url, exc, setting)], None
    return [
        redis_server.reachable(url, facts, latency * 1000),
        redis_server.persistence(facts),
        redis_server.eviction(facts),
        redis_server.clock_skew(offset),
    ], offset


def _workers(app: Any, settings: Settings, offset: float, command: str) -> list[Finding]:
    broker = workers.broker(app, PROBE_TIMEOUT_SECONDS)
    if broker.level != "ok":
        return [broker]
    found = [broker, *redis_server.broker_eviction(app, settings, PROBE_TIMEOUT_SECONDS)]
    survey = workers.survey_workers(app, offset=offset)
    return [*found, *workers.examine_workers(app, settings, survey, command)]


def _records(app: Any, settings: Settings, command: str) -> list[Finding]:
    ledger, cli = Ledger.of(settings), f"{command.removesuffix(' worker')} mulequeue"
    with closing(ledger.redis):
        records = examine_records(app, settings, ledger, command)
        return [*records, *examine_submissions(app, settings, ledger, cli)]


def warn_at_start(app: Any, settings: Settings) -> None:
    """Check the storage, then Redis and Celery's times in a thread, and log what is wrong. Never raises.

    The storage is not checked in the thread: a process that is forked while it imports a package could hang.
    Nothing is written: obstore does not work in a process that is forked after its first request.
    """
    _warn(
        lambda: [storage_target.storage_path(settings.storage_path)],
        lambda: [storage_target.storage(app, settings, writes=False)],
    )
    checks: tuple[_Check, ...] = (
        lambda: unusable_profiles(settings),
        lambda: [item for item in examine_celery(app, settings) if item.id in _AT_START],
        lambda: _durability(settings.redis_url),
        lambda: redis_server.broker_eviction(app, settings, PROBE_TIMEOUT_SECONDS),
    )
    threading.Thread(target=_warn, args=checks, name="mulequeue-start", daemon=True).start()


def _warn(*checks: _Check) -> None:
    for check in checks:
        try:
            findings = check()
        except Exception as exc:  # the watchdog logs that Redis does not answer
            logger.debug("check at start failed: %r", exc)
            continue
        for finding in findings:
            if finding.level != "ok":
                fix = " ".join(finding.fix.split())
                logger.warning("%s %s (mulequeue doctor)", finding.text, fix)


def _durability(url: str) -> list[Finding]:
    with probe_connection(url, PROBE_TIMEOUT_SECONDS) as client:
        facts = redis_server.read_facts(client)
    return [redis_server.persistence(facts), redis_server.eviction(facts)]
