"""Checks that run when a worker starts: settings that can lose generations."""

from __future__ import annotations

import logging
import threading
from typing import Any

from mulequeue.ledger.probe import probe_connection
from mulequeue.ops.health.account import unusable_profiles
from mulequeue.ops.health.celery_settings import examine_celery
from mulequeue.ops.health.check_result import Finding
from mulequeue.ops.health.redis_server import broker_eviction, eviction, persistence, read_facts
from mulequeue.ops.health.storage_target import storage, storage_path
from mulequeue.settings import Settings

logger = logging.getLogger("mulequeue")

PROBE_TIMEOUT_SECONDS = 2.0
_CELERY_CHECKS = ("result-expires", "visibility-timeout")


def warn_at_start(app: Any, settings: Settings) -> None:
    """Check the storage, Redis and Celery's times in a thread, and log what is wrong. Never raises."""
    threading.Thread(
        target=_warn, args=(app, settings), name="mulequeue-start", daemon=True
    ).start()


def _warn(app: Any, settings: Settings) -> None:
    for check in (_profiles, _celery, _redis, _broker, _storage):
        try:
            findings = check(app, settings)
        except Exception as exc:  # the watchdog logs that Redis does not answer
            logger.debug("check at start failed: %r", exc)
            continue
        for finding in findings:
            if finding.level != "ok":
                fix = " ".join(finding.fix.split())
                logger.warning("%s %s (mulequeue doctor)", finding.text, fix)


def _profiles(app: Any, settings: Settings) -> list[Finding]:
    return unusable_profiles(settings)


def _celery(app: Any, settings: Settings) -> list[Finding]:
    return [item for item in examine_celery(app, settings) if item.id in _CELERY_CHECKS]


def _redis(app: Any, settings: Settings) -> list[Finding]:
    with probe_connection(settings.redis_url, PROBE_TIMEOUT_SECONDS) as client:
        facts = read_facts(client)
    return [persistence(facts), eviction(facts)]


def _broker(app: Any, settings: Settings) -> list[Finding]:
    return broker_eviction(app, settings, PROBE_TIMEOUT_SECONDS)


def _storage(app: Any, settings: Settings) -> list[Finding]:
    # Nothing is written: obstore does not work in a process that is forked after its first request.
    return [storage_path(settings.storage_path), storage(app, settings, writes=False)]
