"""Deliveries of tasks that the ledger records until Celery has published the tasks that follow."""

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
"""Longest time that Celery may take to publish the tasks that follow; its retries take two minutes."""
ATTEMPT_SECONDS = 6 * 3600.0
"""Longest time of an attempt: the time limit of the tasks."""
# Separate from the timers of deadlines, which a renewal would delay while Redis does not answer.
_leases = Timers("mulequeue-leases")
# The delivery of each thread: Celery reports an error of the dispatch without the request of the task.
_current = threading.local()


class Heartbeat:
    """Renews a lease every ``seconds``, until it is stopped or ``most_seconds`` have passed."""

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
        """Set for how many seconds from now the lease is renewed."""
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
    """A delivery of a task to this thread. If the worker is killed, the task is delivered again.

    :param renew: renews the lease of the delivery.
    :param number: how often the task has been delivered, including this delivery.
    """

    own_errors: ClassVar[type[Exception]] = MuleQueueError
    """Class of the errors that the task raises. Every other error comes from the dispatch."""

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
        """Forget the delivery in this thread, because Celery dispatches nothing. Its lease is still renewed."""
        _current.delivery = None

    def release(self) -> None:
        """Stop renewing the lease. Unless the end is recorded, it lapses, and the task is delivered again."""
        self.leave()
        self._heartbeat.stop()

    def end(self, exc: BaseException | None) -> None:
        """Record the end of the task, or have it delivered again if its dispatch failed or its result is not stored.

        :param exc: the error of the task or of the dispatch; None: there was none.
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
        """Record that the tasks that follow were published."""

    @abstractmethod
    def _repeat_dispatch(self, exc: BaseException) -> None: ...

    @abstractmethod
    def _repeat_result(self, seconds: float) -> None: ...

    @abstractmethod
    def _end(self, exc: BaseException | None) -> None: ...

    def _compact(self, generation: str) -> None:
        """Compact the record of a generation, if no leased task follows that would change it."""
        if self._is_last:
            with suppress(RedisError):  # the record only occupies more memory
                self._ctx.ledger.generations.compact(generation)


def current_delivery(task_id: str) -> Delivery | None:
    """Return the delivery of this thread if it is one of the task ``task_id``, or None."""
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
