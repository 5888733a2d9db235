"""The end of a task, which its worker stores in the result backend and records in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.states import RETRY
from kombu.exceptions import EncodeError

if TYPE_CHECKING:
    from mulequeue.engine.delivery import Delivery

logger = logging.getLogger("mulequeue")


class RecordedTask(Task):
    """A task whose end is recorded in the ledger after Celery has dispatched what follows it.

    Until then its message is repeated.
    """

    abstract = True

    @property
    def backend(self) -> Any:
        """Return the result backend; one that does not answer fails no running task."""
        backend = super().backend
        request = self.request_stack.top
        if request is None or request.called_directly or request.is_eager:
            return backend
        return ResultStore(self, backend)

    @backend.setter
    def backend(self, value: Any) -> None:
        self._backend = value

    def record_dispatch(self) -> None:
        """Record that Celery has published the tasks that follow."""
        self._record(self.request.id, lambda delivery: delivery.record_dispatch())

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Record the end; later messages of the task are ignored."""
        self._record(task_id, lambda delivery: delivery.end(None))

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Record the end; later messages of the task are ignored."""
        self._record(task_id, lambda delivery: delivery.end(exc))

    def _record(self, task_id: str, change: Callable[[Delivery], None]) -> None:
        """Change the delivery; if the ledger does not answer, the task is repeated, and it is recorded then.

        Celery before 5.7 would record an error here as a failure of the task.
        """
        from redis.exceptions import RedisError

        from mulequeue.engine.delivery import current_delivery

        delivery = current_delivery(task_id)
        try:
            if delivery is not None:
                change(delivery)
        except RedisError as exc:
            logger.warning(
                "the end of %s was not recorded, so it is repeated: %r",
                self.name,
                exc,
                extra={"task_id": task_id},
            )


class ResultStore:
    """A result backend whose outage fails no task.

    Celery records a task as failed if its result cannot be stored, also after it published what follows
    the task. For a generation that is wrong: it succeeded and is billed. Here the task is delivered again
    later and stores its result then.
    """

    def __init__(self, task: Any, backend: Any) -> None:
        self._task, self._backend = task, backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def mark_as_done(
        self, task_id: str, result: Any, request: Any, store_result: bool = True, **options: Any
    ) -> None:
        """Store a result, and count it in the task's chord."""
        if not (request.chord or (store_result and not request.ignore_result)):
            return
        if request.chain or request.callbacks:
            self._task.record_dispatch()
        if not self._attempt("mark_as_done", task_id, result, request, store_result, **options):
            # The next deliveries only store the result, which may take longer than a dispatch.
            self._task.record_dispatch()

    def mark_as_failure(self, task_id: str, exc: Exception, *args: Any, **options: Any) -> None:
        """Store an error, count it in the task's chord, and call its error callbacks."""
        self._attempt("mark_as_failure", task_id, exc, *args, **options)

    def mark_as_retry(self, *args: Any, **options: Any) -> None:
        """Store the state RETRY; only people read it."""
        try:
            self._backend.mark_as_retry(*args, **options)
        except Exception as exc:
            extra = {"task_id": self._task.request.id}
            logger.warning("the state %s was not stored: %r", RETRY, exc, extra=extra)

    def _attempt(self, name: str, *args: Any, **options: Any) -> bool:
        """Return whether the backend has answered."""
        from mulequeue.engine.delivery import mark_result_missing

        try:
            getattr(self._backend, name)(*args, **options)
        except EncodeError:
            raise  # also in every repetition
        except Exception as exc:
            mark_result_missing(self._task, exc)
            return False
        return True
