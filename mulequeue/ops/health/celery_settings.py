"""Check the Celery settings on which generations depend."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import celery
from celery.utils.imports import symbol_by_name

from mulequeue.catalog.poll_schedule import MAX_WAIT_CEILING_SECONDS
from mulequeue.ops.health.check_result import Finding, passed, setting_name, warning
from mulequeue.settings import Settings

MAX_COUNTDOWN_SECONDS = 60
"""The longest countdown of a message that mulequeue sends."""
DEFAULT_VISIBILITY_SECONDS = 3600
"""Celery's default for the ``visibility_timeout`` of a Redis broker."""
_REDIS_RESULTS = ("redis", "rediss", "sentinel", "socket")
OUR_CONSUMER = "mulequeue.tasks.consumer:Consumer"


def examine_celery(app: Any, settings: Settings) -> list[Finding]:
    """Check the settings of Celery without network access."""
    conf = app.conf
    found = [result_expires(app, conf.result_expires, settings.max_wait_seconds)]
    if str(conf.result_backend or "").startswith(_REDIS_RESULTS):
        found.append(result_retry(app, conf.redis_retry_on_timeout))
    if driver_of(app) == "redis":
        given = (conf.broker_transport_options or {}).get("visibility_timeout")
        found += [
            visibility_timeout(app, given),
            worker_consumer(app, conf.worker_consumer, celery.__version__),
        ]
    found.append(prefetch(app, conf.worker_prefetch_multiplier))
    return [*found, eta_limit(app, conf.get("worker_eta_task_limit"))]


def driver_of(app: Any) -> str:
    """Return the broker's kind: ``redis``, ``amqp``, …."""
    return str(app.connection_for_write().transport.driver_type)


def visibility_timeout(app: Any, given: float | None) -> Finding:
    """Check that Redis does not redeliver a message while a worker holds it for its countdown.

    :param given: ``visibility_timeout`` in ``broker_transport_options``, seconds; None: Celery's default, an hour.
    """
    seconds = DEFAULT_VISIBILITY_SECONDS if given is None else float(given)
    least = 2 * MAX_COUNTDOWN_SECONDS
    if seconds < least:
        return warning(
            "visibility-timeout",
            f"The broker delivers a message to a second worker after {seconds:g} s. Messages of "
            f"mulequeue wait in a worker for up to {MAX_COUNTDOWN_SECONDS} s, so a live worker's "
            "messages can be delivered twice.",
            f"Add to the existing options:\n  {setting_name(app, 'broker_transport_options')} = "
            f'{{"visibility_timeout": {least}}}',
        )
    minutes = f"{seconds / 60:g} min"
    return passed(
        "visibility-timeout", f"A dead worker's messages are redelivered after {minutes}."
    )


def result_expires(app: Any, given: Any, max_wait_seconds: float | None) -> Finding:
    """Check that results are kept for at least the longest wait of a generation.

    :param given: Celery's ``result_expires``: seconds, a timedelta, or None or 0 for never.
    """
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    longest = min(max_wait_seconds or MAX_WAIT_CEILING_SECONDS, MAX_WAIT_CEILING_SECONDS)
    if seconds and seconds < longest:
        return warning(
            "result-expires",
            f"Results expire after {seconds / 3600:.3g} h, but a generation may take "
            f"{longest / 3600:.3g} h. A chord that waits for a slow member loses the results of the "
            "others.",
            f"Set:\n  {setting_name(app, 'result_expires')} = 7 * 24 * 3600",
        )
    if not seconds:
        return passed("result-expires", "Results never expire.")
    days = f"{seconds / 86400:.3g} days"
    return passed("result-expires", f"Results expire after {days}, later than the longest wait.")


def result_retry(app: Any, given: bool | None) -> Finding:
    """Check that a command to a Redis result backend is repeated after a lost connection.

    :param given: Celery's ``redis_retry_on_timeout``. If it is True, redis-py repeats a command also after a lost
        connection.
    """
    if given:
        return passed("result-retry", "A command to the result backend is repeated once.")
    return warning(
        "result-retry",
        "A command to the result backend that meets a lost connection is not repeated. A chord of your "
        "own tasks whose member cannot be counted never ends.",
        f"Set:\n  {setting_name(app, 'redis_retry_on_timeout')} = True",
    )


def worker_consumer(app: Any, given: Any, version: str) -> Finding:
    """Check that workers do not exit when a Redis broker restarts.

    :param given: ``worker_consumer``.
    :param version: Celery's version. 5.7 is the first version whose workers exit then.
    """
    if tuple(int(part) for part in version.split(".")[:2]) < (5, 7) or _is_ours(given):
        return passed("worker-consumer", "Workers survive a restart of Redis.")
    return warning(
        "worker-consumer",
        f"A worker of Celery {version} that holds a message exits when Redis restarts.",
        f'Set:\n  {setting_name(app, "worker_consumer")} = "{OUR_CONSUMER}"',
    )


def _is_ours(given: Any) -> bool:
    from mulequeue.tasks.consumer import Consumer

    try:
        return issubclass(symbol_by_name(given), Consumer)
    except (ImportError, AttributeError, TypeError):
        return False


def eta_limit(app: Any, given: int | None) -> Finding:
    """Check that countdown messages do not keep a worker from receiving others.

    :param given: ``worker_eta_task_limit``, new in Celery 5.6; None: no limit.
    """
    if given is None:
        return passed("eta-limit", "Countdown messages do not keep a worker from receiving others.")
    return warning(
        "eta-limit",
        f"A worker that holds {given} countdown messages receives nothing else until one of them is due. "
        "If it is the one that consumes mulequeue's internal queues, no generation is checked or ends.",
        f"Remove:\n  {setting_name(app, 'worker_eta_task_limit')}\n"
        f"or start a worker for the internal queues alone:\n"
        f"  celery -A … worker -Q mulequeue.poll,mulequeue.wake",
    )


def prefetch(app: Any, multiplier: int) -> Finding:
    """Check how many messages a worker reserves.

    :param multiplier: ``worker_prefetch_multiplier``; 0: no limit.
    """
    if multiplier == 1:
        return passed("prefetch", "A worker reserves one message per slot.")
    reserved = "all messages in the queue" if multiplier == 0 else f"{multiplier} messages per slot"
    return warning(
        "prefetch",
        f"A worker reserves {reserved}. They wait for it even while another worker is free.",
        f"Set:\n  {setting_name(app, 'worker_prefetch_multiplier')} = 1",
    )
