"""What a worker says at its start about settings that lose generations."""

from __future__ import annotations

import logging
import threading
from typing import Any

from mulequeue.ledger.probe import probe_connection
from mulequeue.ops.health.celery_settings import driver_of, result_expires, visibility_timeout
from mulequeue.ops.health.check_result import Finding
from mulequeue.ops.health.redis_server import broker_eviction, eviction, persistence, read_facts
from mulequeue.settings import Settings

logger = logging.getLogger("mulequeue")

TIMEOUT_SECONDS = 2.0


def warn_at_start(app: Any, settings: Settings) -> None:
    """Log what is wrong with Redis and with Celery's times. Never waits and never raises."""
    threading.Thread(
        target=_warn, args=(app, settings), name="mulequeue-start", daemon=True
    ).start()


def _warn(app: Any, settings: Settings) -> None:
    for look in (_times, _redis, _broker):
        try:
            findings = look(app, settings)
        except Exception as exc:  # the watchdog says it when Redis does not answer
            logger.debug("not looked at: %r", exc)
            continue
        for finding in findings:
            if finding.level != "ok":
                fix = " ".join(finding.fix.split())
                logger.warning("%s %s (mulequeue doctor)", finding.text, fix)


def _times(app: Any, settings: Settings) -> list[Finding]:
    found = [result_expires(app, app.conf.result_expires, settings.max_wait_seconds)]
    if driver_of(app) == "redis":
        options = app.conf.broker_transport_options or {}
        found.append(visibility_timeout(app, options.get("visibility_timeout")))
    return found


def _redis(app: Any, settings: Settings) -> list[Finding]:
    with probe_connection(settings.redis_url, TIMEOUT_SECONDS) as client:
        facts = read_facts(client)
    return [persistence(facts), eviction(facts)]


def _broker(app: Any, settings: Settings) -> list[Finding]:
    return broker_eviction(app, settings, TIMEOUT_SECONDS)
