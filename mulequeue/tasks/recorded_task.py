"""The end of a task, which its worker records in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery import Task

from mulequeue.tasks.result_store import ResultStore

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
        from mulequeue.engine.followups import attempts
        from mulequeue.engine.submit import return_outcome

        _unless_away(self, return_outcome.record_dispatch, attempts.record_dispatch)

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Record the end; later messages of the task are ignored."""
        self._record_end(task_id)

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Record the end; later messages of the task are ignored."""
        self._record_end(task_id, exc)

    def _record_end(self, task_id: str, exc: Exception | None = None) -> None:
        from mulequeue.engine.followups import attempts
        from mulequeue.engine.submit import return_outcome

        _unless_away(
            self,
            lambda task: return_outcome.on_dispatched(task, task_id, exc),
            lambda task: attempts.on_end(task_id, exc),
        )


def _unless_away(task: Task, *steps: Callable[[Task], None]) -> None:
    """Run the steps; if the ledger does not answer, the task is repeated, and its end recorded then.

    Celery before 5.7 would record an error here as a failure of the task.
    """
    from redis.exceptions import RedisError

    try:
        for step in steps:
            step(task)
    except RedisError as exc:
        logger.warning(
            "the end of %s was not recorded, so it is repeated: %r",
            task.name,
            exc,
            extra={"task_id": task.request.id},
        )
