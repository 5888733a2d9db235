"""A delivery of a task that is recorded in the ledger, until Celery has dispatched what follows the task."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from redis.exceptions import RedisError

from mulequeue.engine.dispatch import (
    MAX_RESULT_ATTEMPTS,
    feeds_leased_task,
    is_result_missing,
    result_delay,
    tail_of,
)
from mulequeue.engine.heartbeat import DISPATCH_SECONDS, Heartbeat
from mulequeue.errors import MuleQueueError

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext

# The delivery of each thread: after an error of the dispatch, Celery reports it without the task's request.
_current = threading.local()


class Delivery(ABC):
    """A delivery to this thread. If its worker is killed, the ledger has the task delivered again.

    :param renew: keeps the delivery, every few seconds.
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
        elif is_result_missing(self._task) and self._number < MAX_RESULT_ATTEMPTS:
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
