"""The end of a task, which its worker records in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from celery import Task

from mulequeue.tasks.result_store import ResultStore

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
