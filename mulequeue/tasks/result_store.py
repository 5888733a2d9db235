"""The result backend as the tasks of a worker use it."""

from __future__ import annotations

import logging
from typing import Any

from celery.states import RETRY, SUCCESS
from kombu.exceptions import EncodeError

logger = logging.getLogger("mulequeue")


class ResultStore:
    """A result backend whose outage fails no task.

    Celery records a task as failed if its result cannot be stored, also after it published what follows
    the task. For a generation that is wrong: it succeeded and is billed. Here the task is delivered again
    later and stores its result then.

    :param task: the running task.
    :param backend: Celery's.
    """

    def __init__(self, task: Any, backend: Any) -> None:
        self._task, self._backend = task, backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def mark_as_done(
        self,
        task_id: str,
        result: Any,
        request: Any,
        store_result: bool = True,
        state: str = SUCCESS,
    ) -> None:
        """Store a result, and count it in the task's chord."""
        if not (request.chord or (store_result and not request.ignore_result)):
            return
        follows = request.chain or request.callbacks
        if follows:
            self._task.record_dispatch()
        if not self._attempt("mark_as_done", task_id, result, request, store_result, state):
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
