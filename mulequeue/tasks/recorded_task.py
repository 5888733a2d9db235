"""Store the end of a task in the result backend, and record it in the ledger."""

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
    """A task whose end is recorded in the ledger after Celery has published the tasks that follow.

    Until then the ledger repeats its message.
    """

    abstract = True

    @property
    def backend(self) -> Any:
        """Return the result backend; in a running task as a :class:`ResultStore`, whose outage fails no task."""
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
        """Change this thread's delivery. If the ledger does not answer, the task is delivered again later.

        The error is only logged: Celery before 5.7 would record it as a failure of the task.
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

    Celery records a task as failed if its result cannot be stored, also after it has published the tasks that
    follow. For a generation that is wrong: it succeeded and is billed. With this class, the task is delivered
    again later and stores its result then.
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
            # The next deliveries only store the result. The ledger gives that more time than a dispatch.
            self._task.record_dispatch()

    def mark_as_failure(self, task_id: str, exc: Exception, *args: Any, **options: Any) -> None:
        """Store an error, count it in the task's chord, and call its error callbacks."""
        self._attempt("mark_as_failure", task_id, exc, *args, **options)

    def mark_as_retry(self, *args: Any, **options: Any) -> None:
        """Store the state RETRY, which is for display only. An error is logged."""
        try:
            self._backend.mark_as_retry(*args, **options)
        except Exception as exc:
            extra = {"task_id": self._task.request.id}
            logger.warning("the state %s was not stored: %r", RETRY, exc, extra=extra)

    def _attempt(self, name: str, *args: Any, **options: Any) -> bool:
        """Call a method of the backend; return whether it succeeded. The result counts as missing otherwise."""
        from mulequeue.engine.delivery import mark_result_missing

        try:
            getattr(self._backend, name)(*args, **options)
        except EncodeError:
            raise  # a repetition would raise it too
        except Exception as exc:
            mark_result_missing(self._task, exc)
            return False
        return True
