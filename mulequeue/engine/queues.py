"""Declare the two internal queues alike in every process, delay messages, and put large numbers of creates last."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.utils.quorum_queues import detect_quorum_queues

QUORUM_COUNTDOWN_SECONDS = 2.0
CREATE_PRIORITY = 3
"""On a Redis broker the priority of new generations that are not single ones: behind messages without one (0)."""
MAX_ELSEWHERE = 72
"""Workers in a row whose configuration does not allow the work, until it is given up: about an hour."""
# Short at first: the next worker probably can do it, and a countdown message waits in the worker that took it.
_DELAYS_SECONDS = (1, 1, 1, 2, 2, 2, 3, 3, 4, 6, 10, 15, 30, 60)
_CREATING = ("mulequeue.generate", "mulequeue.generate_many")
_FOLLOWED = ("chain", "chord", "link", "group_id")


class _NullDispatcher:
    """Celery publishes the event ``task-sent`` through ``event_dispatcher`` if one is given."""

    def publish(self, *_: Any, **__: Any) -> None:
        """Discard the event."""


NULL_DISPATCHER = _NullDispatcher()
"""Suppresses the event ``task-sent`` of one call of ``apply_async``."""


def internal_queue(app: Any, name: str) -> Any:
    """Return a queue as Celery declares it, also where ``task_create_missing_queues`` is off.

    RabbitMQ rejects a queue that two processes declare differently.
    """
    queues = app.amqp.queues
    return queues[name] if name in queues else queues.add(queues.new_missing(name))


def countdown(app: Any, seconds: float) -> dict[str, Any]:
    """Return options of ``apply_async`` for a message that is due after that many seconds.

    With quorum queues a worker holds no more messages than its prefetch limit, so one with a long
    countdown would delay the earlier one that replaces it: there the message is delivered early.
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

    The files of the first ones, and the user's own tasks, would else wait for the last create request of
    thousands. Elsewhere than on Redis, a message without a priority has the lowest one, or queues have none.
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
    """Return the same for a call. A single generation that nothing follows keeps its place in the queue.

    No file waits behind its create request, and it does not wait for those of a batch.
    """
    is_many = kwargs.get("batch_id") or any(options.get(name) for name in _FOLLOWED)
    return create_priority(task) if is_many or task.name != "mulequeue.generate" else {}


def wake_priority(task: Any, priority: int | None) -> int | None:
    """Return the priority of the message that wakes a task: that of its first one, unless it is ours."""
    is_ours = priority == CREATE_PRIORITY and create_priority(task)
    return 0 if is_ours else priority


def elsewhere_delay(number: int) -> float:
    """Return the seconds until work is offered again that so many workers in a row, from 1, could not do."""
    return _DELAYS_SECONDS[min(number, len(_DELAYS_SECONDS)) - 1] * random.uniform(0.8, 1.2)
