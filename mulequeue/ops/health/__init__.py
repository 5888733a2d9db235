"""The doctor: looks at everything a fleet stands on, and says what to do about what is wrong.

=======================  =========================================================================
:mod:`.redis_server`     ``redis``, ``persistence``, ``eviction``, ``clock``, ``broker-eviction``
:mod:`.workers`          ``broker``, ``workers``, ``task-queue``, ``poll-queue``, ``wake-queue``,
                         ``worker-clocks``
:mod:`.stuck_records`    ``polls``, and what of the ledger is stuck
:mod:`.submissions`      ``submissions``, ``paused``, ``refused``, ``budget``
:mod:`.account`          ``key``, ``site``, ``former-fingerprints``
:mod:`.storage_target`   ``storage``, ``storage-path``
:mod:`.celery_settings`  ``visibility-timeout``, ``result-expires``, ``worker-consumer``, ``prefetch``
=======================  =========================================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from redis.exceptions import RedisError

from mulequeue.errors import ConfigurationError
from mulequeue.ledger import Ledger
from mulequeue.ledger.probe import probe_connection
from mulequeue.ops.health import redis_server, storage_target, workers
from mulequeue.ops.health.account import examine_account
from mulequeue.ops.health.celery_settings import examine_celery
from mulequeue.ops.health.check_result import Finding, error, of_configuration, passed, setting_name
from mulequeue.ops.health.start_checks import warn_at_start
from mulequeue.ops.health.stuck_records import examine_records
from mulequeue.ops.health.submissions import examine_submissions
from mulequeue.settings import Settings

__all__ = ["Finding", "examine", "warn_at_start"]

TIMEOUT_SECONDS = 2.5
"""How long a server may take to answer at all."""


def examine(
    app: Any,
    settings: Settings | None = None,
    *,
    command: str | None = None,
    clock: Callable[[], float] = time.time,
) -> list[Finding]:
    """Look at everything, in some seconds; nothing is paid and nothing left changed. Never raises.

    :param settings: None: those of the app, and whether they can be read at all is a finding.
    :param command: how a worker is started; None: ``celery -A <the app's name> worker``.
    :param clock: this machine's, unix seconds.
    """
    command = command or f"celery -A {app.main or 'proj'} worker"
    try:
        settings = settings or Settings.load(app)
    except ConfigurationError as exc:
        fix = "Correct it; no worker takes generations until then."
        return [of_configuration("settings", exc, fix)]
    except Exception as exc:
        text = f"The Celery configuration cannot be used: {exc}"
        return [error("settings", text, "Correct it; no worker starts until then.")]
    return list(_checks(app, settings, command, clock))


def _checks(
    app: Any, settings: Settings, command: str, clock: Callable[[], float]
) -> Iterator[Finding]:
    yield passed("settings", f"The settings of fleet {settings.fleet} can be read.")
    redis, offset = _redis(app, settings, clock)
    yield from redis
    yield from _guard("workers", lambda: _workers(app, settings, offset or 0.0, command))
    if offset is not None:
        yield from _guard("records", lambda: _records(app, settings, command))
    yield from _guard("key", lambda: examine_account(app, settings))
    yield from _guard("storage", lambda: [storage_target.storage(app, settings)])
    yield storage_target.storage_path(settings.storage_path)
    yield from _guard("celery", lambda: examine_celery(app, settings))


def _guard(id: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """What it finds; that it cannot be looked at is a finding too."""
    try:
        return look()
    except Exception as exc:
        text = f"This could not be looked at: {type(exc).__name__}: {exc}"
        return [error(id, text, "Mend what the error names, then run mulequeue doctor again.")]


def _redis(
    app: Any, settings: Settings, clock: Callable[[], float]
) -> tuple[list[Finding], float | None]:
    """The findings, and how far this machine's clock is ahead; None: Redis does not answer."""
    url = settings.redis_url
    try:
        with probe_connection(url, TIMEOUT_SECONDS) as client:
            offset, took = redis_server.clock_offset(client, clock)
            facts = redis_server.read_facts(client)
    except ConfigurationError as exc:
        return [of_configuration("redis", exc)], None
    except (RedisError, OSError) as exc:
        setting = setting_name(app, "mulequeue_redis_url")
        return [redis_server.unreachable(url, exc, setting)], None
    return [
        redis_server.reachable(url, facts, took * 1000),
        redis_server.persistence(facts),
        redis_server.eviction(facts),
        redis_server.clock_skew(offset),
    ], offset


def _workers(app: Any, settings: Settings, offset: float, command: str) -> list[Finding]:
    broker = workers.broker(app, TIMEOUT_SECONDS)
    if broker.level != "ok":
        return [broker]
    found = [broker, *redis_server.broker_eviction(app, settings, TIMEOUT_SECONDS)]
    seen = workers.survey_workers(app, offset=offset)
    return [*found, *workers.examine_workers(app, settings, seen, command)]


def _records(app: Any, settings: Settings, command: str) -> list[Finding]:
    ledger = Ledger.of(settings)
    try:
        records = examine_records(app, settings, ledger, command)
        return [*records, *examine_submissions(app, settings, ledger, _program(command))]
    finally:
        ledger.redis.close()


def _program(command: str) -> str:
    """How the program is started, by how a worker is: ``celery -A proj mulequeue``."""
    return f"{command.removesuffix(' worker')} mulequeue"
