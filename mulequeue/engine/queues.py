"""Declare the two internal queues alike in every process, delay messages, and set the priority of creates."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.utils.quorum_queues import detect_quorum_queues

QUORUM_COUNTDOWN_SECONDS = 2.0
CREATE_PRIORITY = 3
"""Priority on a Redis broker of new generations that are not single: after messages without a priority (0)."""
MAX_ELSEWHERE = 72
"""Work is given up after this many workers in a row could not do it with their configuration: about an hour."""
# Short at first, because the next worker probably can do it. A countdown message waits in the worker that got it.
_DELAYS_SECONDS = (1, 1, 1, 2, 2, 2, 3, 3, 4, 6, 10, 15, 30, 60)
_CREATING = ("mulequeue.generate", "mulequeue.generate_many")
_FOLLOWED = ("chain", "chord", "link", "group_id")


class _NullDispatcher:
    """An ``event_dispatcher`` for ``apply_async``, which publishes its event ``task-sent`` through it."""

    def publish(self, *_: Any, **__: Any) -> None:
        """Discard the event."""


NULL_DISPATCHER = _NullDispatcher()
"""Suppresses the event ``task-sent`` of one call of ``apply_async``."""


def internal_queue(app: Any, name: str) -> Any:
    """Return a queue as Celery declares it, even if ``task_create_missing_queues`` is off.

    RabbitMQ rejects a queue that two processes declare differently.
    """
    queues = app.amqp.queues
    return queues[name] if name in queues else queues.add(queues.new_missing(name))


def countdown(app: Any, seconds: float) -> dict[str, Any]:
    """Return options of ``apply_async`` for a message that is due after ``seconds``.

    With quorum queues a worker holds no more messages than its prefetch limit: messages with a long countdown
    could keep an earlier poll message waiting. There the countdown is at most ``QUORUM_COUNTDOWN_SECONDS``.
    """
    if seconds <= 0.01:
        return {}
    driver = app.connection_for_write().transport.driver_type
    if app.conf.task_protocol != 2 or not detect_quorum_queues(app, driver)[0]:
        return {"countdown": seconds}
    eta = datetime.now(UTC) + timedelta(seconds=min(seconds, QUORUM_COUNTDOWN_SECONDS))
    # As a header: Celery would log a warning about direct exchanges with every such message.
    return {"headers": {"eta": eta.isoformat()}}


def create_priority(task: Any) -> dict[str, Any]:
    """Return options of ``apply_async`` that put new generations behind the other messages of their queue.

    Otherwise the downloads of a batch's first members, and the tasks of the user, would wait for thousands of
    create requests. The options are empty if the task creates no generation, if a priority is configured, and
    on brokers other than Redis, where a message without a priority has the lowest one or priorities are off.
    """
    conf = task.app.conf
    is_given = task.priority is not None or conf.task_default_priority is not None
    if task.name not in _CREATING or is_given:
        return {}
    is_redis = task.app.pool.connection.get_transport_cls().driver_type == "redis"
    return {"priority": CREATE_PRIORITY} if is_redis else {}


def call_priority(
    task: Any, kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options of :func:`create_priority` for a call; none for a single ``generate``.

    A single one is in no batch or group, and no task follows it. Its message does not wait for those of a
    batch, and no download waits behind it.
    """
    is_many = kwargs.get("batch_id") or any(options.get(name) for name in _FOLLOWED)
    return create_priority(task) if is_many or task.name != "mulequeue.generate" else {}


def wake_priority(task: Any, priority: int | None) -> int | None:
    """Return the priority of a wake: that of the task's first message, or 0 if :func:`create_priority` set it."""
    is_ours = priority == CREATE_PRIORITY and create_priority(task)
    return 0 if is_ours else priority


def elsewhere_delay(number: int) -> float:
    """Return the seconds until work is sent to a worker again, after ``number`` workers (from 1) could not do it."""
    return _DELAYS_SECONDS[min(number, len(_DELAYS_SECONDS)) - 1] * random.uniform(0.8, 1.2)
