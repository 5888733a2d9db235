"""The task ``notify``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mulequeue.catalog.usd import json_usd
from mulequeue.engine.followups.attempts import Attempt, run_leased
from mulequeue.engine.followups.batch_results import read_outcome
from mulequeue.engine.followups.judge import Policy
from mulequeue.engine.worker_context import context_of, worker_context
from mulequeue.errors import InputError
from mulequeue.ledger import outcome_of
from mulequeue.outcome import is_outcome
from mulequeue.settings import Settings
from mulequeue.transfer.control import TransferControl
from mulequeue.transfer.notifications import (
    build_notification,
    check_target,
    send_notification,
    target_host,
)

DELAYS_SECONDS = (5, 15, 60, 300, 900, 1800, 3600)


def notify(task: Any, value: Any, target: str) -> Any:
    if task.request.called_directly or task.request.is_eager:
        settings = Settings.load(task.app)
        check_target(target, settings)
        _send(value, target, settings)
        return value
    settings = context_of(task).settings

    def make(attempt: Attempt) -> None:
        check_target(target, settings, resolve=False)
        _send(_content(task.app, value), target, settings, attempt.control)

    policy = Policy(
        delays=DELAYS_SECONDS,
        max_seconds=settings.notification_max_seconds,
        host=lambda: target_host(target),
        generation=value["task_id"] if is_outcome(value) else None,
        error_field="notify_error",
    )
    run_leased(task, make, policy)
    return value


def _send(
    content: Any, target: str, settings: Settings, control: TransferControl | None = None
) -> None:
    notification, moment = build_notification(content, target), datetime.now(UTC)
    send_notification(notification, settings=settings, timestamp=moment, control=control)


def _content(app: Any, value: Any) -> Any:
    """Return the content of a notification: an outcome, or the short forms of a batch's members.

    :raises InputError: ``value`` is none of these, nor a task id.
    """
    if isinstance(value, str):
        return _of_task(app, value)
    if isinstance(value, Mapping) and is_outcome(value):
        return read_outcome(app, value).to_dict() | {"files": list(value.get("files", []))}
    if isinstance(value, (list, tuple)) and all(is_outcome(item) for item in value):
        return _with_costs(app, value)
    raise InputError(
        f"notify needs an outcome, a list of outcomes, or a task id; it got {type(value).__name__}."
    )


def _with_costs(app: Any, members: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the members of a batch, each with the estimated cost in its record if there is one."""
    records = worker_context(app).ledger.queries.records([item["task_id"] for item in members])
    return [
        {**item, "estimated_usd": json_usd(record.estimated_usd)} if record is not None else item
        for item, record in zip(members, records, strict=True)
    ]


def _of_task(app: Any, task_id: str) -> dict[str, Any]:
    """Return the outcome of a generation, or the error of another task; ``link_error`` passes the id."""
    ledger = worker_context(app).ledger
    record = ledger.queries.record(task_id)
    if record is not None and record.status is not None:
        return outcome_of(record).to_dict()
    ended = ledger.leases.result(task_id)
    detail = (ended or {}).get("error") or "A task of the chain failed."
    error = {"type": "TaskFailed", "code": None, "title": "A task failed", "detail": detail}
    return {"task_id": task_id, "status": "failed", "error": error, "files": [], "assets": []}
