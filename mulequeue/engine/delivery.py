"""A delivery of a task that is recorded in the ledger, until Celery has dispatched what follows the task."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from redis.exceptions import RedisError

from mulequeue.engine.following_tasks import (
    MAX_RESULT_ATTEMPTS,
    feeds_leased_task,
    result_delay,
    tail_of,
)
from mulequeue.errors import MuleQueueError
from mulequeue.net.timers import Timers

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext

logger = logging.getLogger("mulequeue")

HEARTBEAT_SECONDS = 6.0
DISPATCH_SECONDS = 600.0
"""Longest time that Celery may take to publish what follows a task; the publish retries take two minutes."""
ATTEMPT_SECONDS = 6 * 3600.0
"""Longest time of an attempt: the time limit of the tasks."""
# Apart from the deadlines, which a Redis that does not answer would delay.
_leases = Timers("mulequeue-leases")
# The delivery of each thread: after an error of the dispatch, Celery reports it without the task's request.
_current = threading.local()


class Heartbeat:
    """Renews a lease every few seconds, until it is stopped or ``most_seconds`` have passed."""

    def __init__(
        self,
        ctx: WorkerContext,
        renew: Callable[[], object],
        *,
        most_seconds: float,
        seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._ctx, self._renew = ctx, renew
        self.limit(most_seconds)
        self._timer = _leases.every(seconds, self._beat)

    def limit(self, most_seconds: float) -> None:
        """Set how long it continues from now."""
        self._ends = time.monotonic() + most_seconds

    def stop(self) -> None:
        _leases.cancel(self._timer)

    def _beat(self) -> None:
        if time.monotonic() > self._ends:
            self.stop()
            return
        try:
            self._renew()
        except RedisError as exc:
            self._ctx.redis_availability.mark_down(exc)
        except Exception as exc:
            logger.warning("a lease was not renewed: %r", exc)


class Delivery(ABC):
    """A delivery to this thread. If its worker is killed, the ledger has the task delivered again.

    :param number: of the deliveries so far, with this one.
    """

    own_errors: ClassVar[type[Exception]] = MuleQueueError
    """An error of the task of another class is of the dispatch."""

    def __init__(
        self, ctx: WorkerContext, task: Any, renew: Callable[[], object], number: int
    ) -> None:
        self._ctx, self._task, self._number = ctx, task, number
        self.task_id, self.tail = task.request.id, tail_of(task)
        self._is_last = not feeds_leased_task(task)
        self._heartbeat = Heartbeat(ctx, renew, most_seconds=DISPATCH_SECONDS)
        self.is_result_missing = False
        _current.delivery = self

    def leave(self) -> None:
        """End it for this thread: Celery dispatches nothing."""
        _current.delivery = None

    def release(self) -> None:
        """Let it lapse, so that the task is delivered again."""
        self.leave()
        self._heartbeat.stop()

    def end(self, exc: BaseException | None) -> None:
        """Record the end after Celery dispatched what follows, or have the task delivered again.

        :param exc: the error of the task, or of the dispatch.
        """
        self.release()
        if exc is not None and not isinstance(exc, self.own_errors):
            self._repeat_dispatch(exc)
        elif self.is_result_missing and self._number < MAX_RESULT_ATTEMPTS:
            self._repeat_result(result_delay(self._number))
        else:
            self._end(exc)

    @abstractmethod
    def record_dispatch(self) -> None:
        """Record that what follows the task was published."""

    @abstractmethod
    def _repeat_dispatch(self, exc: BaseException) -> None: ...

    @abstractmethod
    def _repeat_result(self, seconds: float) -> None: ...

    @abstractmethod
    def _end(self, exc: BaseException | None) -> None: ...

    def _compact(self, generation: str) -> None:
        """Compact the record of a generation that no task of ours changes any more."""
        if self._is_last:
            with suppress(RedisError):  # it only takes more memory then
                self._ctx.ledger.generations.compact(generation)


def current_delivery(task_id: str) -> Delivery | None:
    """Return this thread's delivery, if it is of that task."""
    found: Delivery | None = getattr(_current, "delivery", None)
    return found if found is not None and found.task_id == task_id else None


def mark_result_missing(task: Any, exc: Exception) -> None:
    """Record that the result of the running task could not be stored."""
    delivery = current_delivery(task.request.id)
    if delivery is not None:
        delivery.is_result_missing = True
    logger.warning(
        "the result of %s could not be stored: %r. It is stored later; what follows the task is not "
        "published again",
        task.name,
        exc,
        extra={"task_id": task.request.id},
    )
