"""Celery's own settings, as far as generations depend on them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import celery
from celery.utils.imports import symbol_by_name

from mulequeue.engine.generation_request import MAX_WAIT_CEILING_SECONDS
from mulequeue.ops.health.check_result import Finding, passed, setting_name, warning
from mulequeue.settings import Settings

MAX_COUNTDOWN_SECONDS = 60
"""Of any message of mulequeue."""
CELERY_VISIBILITY_SECONDS = 3600
OUR_CONSUMER = "mulequeue.tasks.consumer:Consumer"


def examine_celery(app: Any, settings: Settings) -> list[Finding]:
    """All of it; nothing is asked over the network."""
    conf = app.conf
    found = [result_expires(app, conf.result_expires, settings.max_wait_seconds)]
    if driver_of(app) == "redis":
        given = (conf.broker_transport_options or {}).get("visibility_timeout")
        found += [
            visibility_timeout(app, given),
            worker_consumer(app, conf.worker_consumer, celery.__version__),
        ]
    return [*found, prefetch(app, conf.worker_prefetch_multiplier)]


def driver_of(app: Any) -> str:
    """``redis``, ``amqp``, …: what the broker is."""
    return str(app.connection_for_write().transport.driver_type)


def visibility_timeout(app: Any, given: float | None) -> Finding:
    """:param given: what ``broker_transport_options`` says; None: Celery's default, an hour."""
    seconds = CELERY_VISIBILITY_SECONDS if given is None else float(given)
    least = 2 * MAX_COUNTDOWN_SECONDS
    if seconds < least:
        return warning(
            "visibility-timeout",
            f"A message is given to a second worker after {seconds:g} s although the first one is "
            f"alive; ours wait up to {MAX_COUNTDOWN_SECONDS} s for their time.",
            f"Set, with the options that are there:\n  {setting_name(app, 'broker_transport_options')} = "
            f'{{"visibility_timeout": {least}}}',
        )
    when = f"{seconds / 60:g} min"
    return passed("visibility-timeout", f"Messages of a dead worker come back after {when}.")


def result_expires(app: Any, given: Any, max_wait_seconds: float | None) -> Finding:
    """:param given: Celery's ``result_expires``: seconds, a timedelta, or None or 0 for never."""
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    longest = min(max_wait_seconds or MAX_WAIT_CEILING_SECONDS, MAX_WAIT_CEILING_SECONDS)
    if seconds and seconds < longest:
        return warning(
            "result-expires",
            f"Results expire after {seconds / 3600:.3g} h, a generation may take "
            f"{longest / 3600:.3g} h: a chord that waits for a slow member would lose the others.",
            f"Set:\n  {setting_name(app, 'result_expires')} = 7 * 24 * 3600",
        )
    when = f"after {seconds / 86400:.3g} days" if seconds else "never"
    return passed("result-expires", f"Results expire {when}, after the longest wait.")


def worker_consumer(app: Any, given: Any, version: str) -> Finding:
    """:param version: Celery's. 5.7 is the first whose workers end when Redis restarts."""
    if tuple(int(part) for part in version.split(".")[:2]) < (5, 7) or _is_ours(given):
        return passed("worker-consumer", "Workers go on when Redis comes back.")
    return warning(
        "worker-consumer",
        f"A worker of Celery {version} that holds a message ends when Redis restarts.",
        f'Set:\n  {setting_name(app, "worker_consumer")} = "{OUR_CONSUMER}"',
    )


def _is_ours(given: Any) -> bool:
    from mulequeue.tasks.consumer import Consumer

    try:
        return issubclass(symbol_by_name(given), Consumer)
    except (ImportError, AttributeError, TypeError):
        return False


def prefetch(app: Any, multiplier: int) -> Finding:
    """:param multiplier: ``worker_prefetch_multiplier``; 0: a worker takes all there is."""
    if multiplier == 1:
        return passed("prefetch", "A worker reserves one message a slot.")
    many = "every message there is" if multiplier == 0 else f"{multiplier} messages a slot"
    return warning(
        "prefetch",
        f"A worker reserves {many}; they wait there while another worker is free.",
        f"Set:\n  {setting_name(app, 'worker_prefetch_multiplier')} = 1",
    )
