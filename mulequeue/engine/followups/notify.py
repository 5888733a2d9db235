"""The task ``notify``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mulequeue.engine.followups import attempts
from mulequeue.engine.followups.previous_outcome import read_outcome
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import InputError
from mulequeue.ledger import outcome_of
from mulequeue.outcome import is_outcome
from mulequeue.settings import Settings
from mulequeue.transfer.notifications import build_notification, check_target, send_notification

DELAYS_SECONDS = (5, 15, 60, 300, 900, 1800, 3600)


def notify(task: Any, value: Any, target: str) -> Any:
    """Handle one delivery of ``notify``."""
    if task.request.called_directly or task.request.is_eager:
        settings = Settings.load(task.app)
        check_target(target, settings)
        send_notification(
            build_notification(value, target), settings=settings, timestamp=datetime.now(UTC)
        )
        return value
    settings = worker_context(task.app).settings

    def attempt() -> Any:
        check_target(target, settings)
        content = _content(task.app, value)
        send_notification(
            build_notification(content, target), settings=settings, timestamp=datetime.now(UTC)
        )
        return value

    return attempts.transfer(
        task, attempt, delays=DELAYS_SECONDS, most_seconds=settings.notification_max_seconds
    )


def _content(app: Any, value: Any) -> Any:
    """Return the content: an outcome, or the short forms of a batch's members."""
    if isinstance(value, str):
        return _of_task(app, value)
    if isinstance(value, Mapping) and is_outcome(value):
        return read_outcome(app, value).to_dict() | {"files": list(value.get("files", []))}
    if isinstance(value, (list, tuple)) and all(is_outcome(item) for item in value):
        return list(value)
    raise InputError(
        f"notify needs an outcome, a list of outcomes, or a task id; it got {type(value).__name__}."
    )


def _of_task(app: Any, task_id: str) -> dict[str, Any]:
    """Return the outcome or the error of a task that failed (``link_error`` passes its id)."""
    ledger = worker_context(app).ledger
    record = ledger.queries.record(task_id)
    if record is not None and record.status is not None:
        return outcome_of(record).to_dict()
    ended = ledger.leases.result(task_id)
    detail = (ended or {}).get("error") or "A task of the chain failed."
    error = {"type": "TaskFailed", "code": None, "title": "A task failed", "detail": detail}
    return {"task_id": task_id, "status": "failed", "error": error, "files": [], "assets": []}
