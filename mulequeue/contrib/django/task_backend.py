"""The backend that enqueues the tasks of :mod:`.background_tasks` (Django 6)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from celery.canvas import _chain
from django.tasks import TaskResult, TaskResultStatus
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.base import DEFAULT_TASK_QUEUE_NAME, TASK_MAX_PRIORITY, Task, TaskError
from django.tasks.exceptions import InvalidTask, InvalidTaskBackend, TaskResultDoesNotExist
from django.tasks.signals import task_enqueued
from django.utils import timezone
from django.utils.json import normalize_json

from mulequeue.contrib import enqueued as _enqueued  # noqa: F401  (connects a signal)
from mulequeue.contrib.django.models import UNDER_WAY, Generation
from mulequeue.engine.current_app import current_app
from mulequeue.engine.followups.batch_results import batch_results
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import DownloadError, GenerationError, generation_error
from mulequeue.ledger import Batch, Record, outcome_of
from mulequeue.tasks.batch_ids import files_id, member_ids

_TASKS = "mulequeue.contrib.django.background_tasks"
_CELERY_PRIORITIES = 9
_OUTCOME_COLUMNS = (
    *("remote_id", "model", "profile", "kind", "assets", "files", "error", "metadata", "polls"),
)


class MuleQueueBackend(BaseTaskBackend):
    """Enqueue mulequeue's tasks through the project's Celery app.

    ``queue_name`` is a queue that ``QUEUES`` lists; ``default`` is the queue to which Celery routes the task.
    ``priority`` sets the priority of the Celery message: of the messages with a priority, the highest is first.
    The definition of a task raises for ``run_after``, coroutines and the project's own tasks. The id of a result
    is ``<task>-<random>``; it is also the Celery task id, or the batch id.
    """

    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: Mapping[str, Any]) -> None:
        super().__init__(alias, params)
        if self.options:
            raise InvalidTaskBackend(
                f"MuleQueueBackend takes no OPTIONS, but TASKS[{alias!r}] has {', '.join(self.options)}. "
                "Remove them; mulequeue's settings are CELERY_MULEQUEUE_…."
            )

    def validate_task(self, task: Task) -> None:
        """Check a task when it is defined.

        :raises InvalidTask: the task is not one of mulequeue's, or uses a feature that the backend lacks.
        """
        super().validate_task(task)
        if task.func.__module__ != _TASKS:
            raise InvalidTask(
                f"MuleQueueBackend runs the tasks of {_TASKS} only. Give {task.module_path} another "
                "backend of TASKS, or make it a task of Celery."
            )

    def enqueue(self, task: Task, args: Any, kwargs: Any) -> TaskResult:
        """Send the task; return its result, which has no return value yet.

        :raises mulequeue.InputError: the input is invalid.
        :raises kombu.exceptions.OperationalError: the broker does not confirm the message.
        """
        self.validate_task(task)
        result_id = f"{task.name}-{uuid.uuid4().hex}"
        signature = task.func(*args, **kwargs)(result_id)
        first = signature.tasks[0] if isinstance(signature, _chain) else signature
        first.set(**self._options(task))
        signature.apply_async()
        given = {"args": list(args), "kwargs": kwargs, "enqueued_at": timezone.now()}
        result = self._result(task, result_id, TaskResultStatus.READY, **given)
        task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> TaskResult:
        """Return a result from the ledger, or from the mirrored row of a generation whose record has expired.

        :raises TaskResultDoesNotExist: neither has the id.
        """
        task = _task_named(result_id.rpartition("-")[0])
        if task is None:
            raise TaskResultDoesNotExist(result_id)
        ledger = worker_context().ledger
        if task.name == "generate_many":
            batch = ledger.queries.batch(result_id)
            if batch is not None:
                return self._of_batch(task, batch)
        else:
            record = ledger.queries.record(result_id)
            if record is not None and record.state != "tombstone":
                return self._of_record(task, record)
        if ledger.enqueued.has(result_id):
            return self._result(task, result_id, TaskResultStatus.READY)
        row = Generation.objects.filter(pk=result_id).first()
        if row is None:
            raise TaskResultDoesNotExist(result_id)
        return self._of_row(task, row)

    def _options(self, task: Task) -> dict[str, Any]:
        """Return the options of the Celery message."""
        options: dict[str, Any] = {}
        if task.queue_name != DEFAULT_TASK_QUEUE_NAME:
            options["queue"] = task.queue_name
        if task.priority:
            share = (task.priority + TASK_MAX_PRIORITY) / (2 * TASK_MAX_PRIORITY)
            with current_app().connection_for_write() as connection:
                is_redis = connection.transport.driver_type == "redis"  # in Redis 0 is the highest
            options["priority"] = round((1 - share if is_redis else share) * _CELERY_PRIORITIES)
        return options

    def _of_record(self, task: Task, record: Record) -> TaskResult:
        times = {
            "enqueued_at": _moment(record.created),
            "started_at": _moment(record.submitted or record.started),
            "finished_at": _moment(record.finished),
        }
        if record.status is None:
            is_ready = record.state == "waiting"
            state = TaskResultStatus.READY if is_ready else TaskResultStatus.RUNNING
            return self._result(task, record.task_id, state, **times)
        if record.status == "succeeded" and task.name == "generate_files":
            if record.file_error:
                error = DownloadError(record.file_error)
                return self._failed(task, record.task_id, error, **times)
            if not record.is_downloaded:
                return self._result(task, record.task_id, TaskResultStatus.RUNNING, **times)
        return self._ended(task, outcome_of(record).to_dict(), **times)

    def _of_row(self, task: Task, row: Generation) -> TaskResult:
        outcome = {"task_id": row.pk, "status": row.state}
        outcome |= {name: getattr(row, name) for name in _OUTCOME_COLUMNS}
        times = {
            "enqueued_at": row.created_at,
            "started_at": row.submitted_at,
            "finished_at": row.finished_at,
        }
        if row.state in UNDER_WAY:
            return self._result(task, row.pk, TaskResultStatus.RUNNING, **times)
        if row.state == "lost":
            error = GenerationError({**outcome, "error": {"detail": "The ledger lost its record."}})
            return self._failed(task, row.pk, error, **times)
        return self._ended(task, outcome, **times)

    def _of_batch(self, task: Task, batch: Batch) -> TaskResult:
        times = {"enqueued_at": _moment(batch.created), "started_at": _moment(batch.created)}
        if batch.begun < batch.size:
            return self._result(task, batch.batch_id, TaskResultStatus.RUNNING, **times)
        members = {name: files_id(name) for name in member_ids(batch)}
        results = batch_results(worker_context().ledger, batch, members)
        state = TaskResultStatus.RUNNING if results is None else TaskResultStatus.SUCCESSFUL
        return self._result(task, batch.batch_id, state, value=results, **times)

    def _ended(self, task: Task, outcome: Mapping[str, Any], **times: Any) -> TaskResult:
        task_id = outcome["task_id"]
        if outcome["status"] != "succeeded":
            return self._failed(task, task_id, generation_error(dict(outcome)), **times)
        return self._result(task, task_id, TaskResultStatus.SUCCESSFUL, value=outcome, **times)

    def _failed(self, task: Task, result_id: str, error: Exception, **times: Any) -> TaskResult:
        name = f"{type(error).__module__}.{type(error).__qualname__}"
        errors = [TaskError(exception_class_path=name, traceback=f"{name}: {error}")]
        return self._result(task, result_id, TaskResultStatus.FAILED, errors=errors, **times)

    def _result(
        self, task: Task, result_id: str, status: TaskResultStatus, value: Any = None, **given: Any
    ) -> TaskResult:
        fields = {"args": [], "kwargs": {}, "errors": [], "worker_ids": [], "backend": self.alias}
        fields |= dict.fromkeys(("enqueued_at", "started_at", "finished_at"))
        fields |= {"last_attempted_at": given.get("started_at"), **given}
        result = TaskResult(task=task, id=result_id, status=status, **fields)
        object.__setattr__(result, "_return_value", normalize_json(value))
        return result


def _task_named(name: str) -> Task | None:
    """Return the task of :mod:`.background_tasks` with this name, or None."""
    from mulequeue.contrib.django import background_tasks

    found = getattr(background_tasks, name, None) if name.isidentifier() else None
    return found if isinstance(found, Task) else None


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
