"""Handle received messages in a worker's main process. Only workers load this module.

``argsrepr`` and ``kwargsrepr`` are redacted here too, because Celery sets them if a task is sent by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from billiard.einfo import ExceptionWithTraceback
from celery.worker.request import Request
from celery.worker.state import revoked as revoked_ids
from celery.worker.strategy import default

from mulequeue.engine.display import format_args, format_kwargs, format_result, is_ours
from mulequeue.engine.submit.park import Parked, epoch_of
from mulequeue.outcome import OUTCOME_STATUSES

_FAILURES = frozenset(OUTCOME_STATUSES) - {"succeeded"}


class RedactedRequest(Request):  # type: ignore[misc]  # Celery publishes no types
    """A received message of a :class:`~mulequeue.tasks.base.RedactedTask`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.id: Any
        if isinstance(self.id, UUID):  # the sender did not load mulequeue
            self.id = self._request_dict["id"] = str(self.id)
        if not is_ours(self.argsrepr):
            self._argsrepr = format_args(self.type, self.args, self.kwargs)
            self._kwargsrepr = format_kwargs(self.kwargs)
            # The pool process logs these values.
            self._request_dict.update(argsrepr=self._argsrepr, kwargsrepr=self._kwargsrepr)

    def info(self, safe: bool = False) -> dict[str, Any]:
        """Return the message for ``celery inspect`` and Flower, with redacted arguments."""
        return super().info(safe=True)  # type: ignore[no-any-return]

    def revoked(self) -> bool:
        """Return whether the task is revoked, and so its message discarded.

        Celery revokes tasks by id or by stamped header, and the watchdog reads ids only. So the id of a revoked
        task is added to the revoked ids.
        """
        is_revoked = bool(super().revoked())
        if is_revoked:
            revoked_ids.add(self.id)
        return is_revoked

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Send the event ``task-generating`` if the task parked, then handle the failure.

        The main process sends the event, because it sends events in batches.
        """
        exc = exc_info.exception
        exc = exc.exc if isinstance(exc, ExceptionWithTraceback) else exc
        if isinstance(exc, Parked):
            self.send_event("task-generating", model=exc.model)
        return super().on_failure(exc_info, *args, **kwargs)

    def send_event(self, type: str, **fields: Any) -> None:
        """Send an event of this task, with the status in place of the result."""
        if isinstance(fields.get("result"), str):
            fields["result"] = status = format_result(fields["result"])
            if type == "task-succeeded" and self.task.is_billed and status in _FAILURES:
                # The task returned the outcome of a failure. As this event, monitors show a failed task.
                type, fields["exception"] = "task-failed", f"GenerationError: {status}"
        super().send_event(type, **fields)


def limit_submissions(task: Any, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """Return the strategy of ``generate``: the rate limit applies to the first message only.

    The message that wakes a parked task is not limited. Its outcome is billed and must not wait. Also, the
    ledger repeats a wake that no worker has begun, and repeated wakes would use up the limit.
    """
    limited, are_off = default(task, app, consumer, **options), consumer.disable_rate_limits
    consumer.disable_rate_limits = True  # Celery reads it when it creates a strategy
    try:
        free = default(task, app, consumer, **options)
    finally:
        consumer.disable_rate_limits = are_off

    def receive(message: Any, *args: Any, **kwargs: Any) -> Any:
        body = message.payload  # decoded once per message
        given = body.get("kwargs") if isinstance(body, Mapping) else body[1]
        is_limited = epoch_of(given, message.headers) is None
        return (limited if is_limited else free)(message, *args, **kwargs)

    return receive
