"""The base classes of mulequeue's tasks.

They and :mod:`mulequeue.tasks.definitions` import the engine inside functions: a web process that only
sends tasks loads no HTTP client, no storage and no Redis client, and starts in half the time.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from celery import Task
from celery.states import SUCCESS
from celery.utils import uuid
from kombu.exceptions import OperationalError

from mulequeue.engine.display import format_args, format_kwargs
from mulequeue.engine.generation_call import check_task_id, id_text
from mulequeue.engine.queues import call_priority
from mulequeue.engine.submit.park import ENQUEUED, EPOCH
from mulequeue.errors import GenerationError, TransferError
from mulequeue.tasks.recorded_task import RecordedTask
from mulequeue.tasks.validating_task import ValidatingTask

_SIX_HOURS = 6 * 3600
# These override the defaults of the app. The message of a lost worker is redelivered, an ignored duplicate
# writes no result, and a global time limit does not interrupt a submission that is being billed.
TASK_OPTIONS: dict[str, Any] = {
    "acks_late": True,
    "reject_on_worker_lost": True,
    "track_started": False,
    "trail": False,
    "max_retries": None,
    "resultrepr_maxsize": 200,
    "time_limit": _SIX_HOURS,
    "soft_time_limit": _SIX_HOURS - 60,
}


class RedactedTask(Task):
    """A task whose messages show no input, no outcome and no path of a notification URL.

    Its :data:`TASK_OPTIONS` override the project's ``task_annotations``.
    """

    abstract = True
    pinned_options: ClassVar[tuple[str, ...]] = tuple(TASK_OPTIONS)
    is_billed: ClassVar[bool] = False
    Request = "mulequeue.tasks.request:RedactedRequest"

    @classmethod
    def annotate(cls) -> None:
        """Apply the app's annotations, except to the pinned options."""
        pinned = {name: getattr(cls, name) for name in cls.pinned_options}
        super().annotate()
        for name, value in pinned.items():
            setattr(cls, name, value)

    def apply_async(
        self, args: Any = None, kwargs: Any = None, task_id: Any = None, *rest: Any, **options: Any
    ) -> Any:
        """Send the task with a redacted ``argsrepr`` and ``kwargsrepr``, unless the caller sets them.

        :raises InputError: the task id is neither text nor a UUID, or, of a generating task, begins with
            ``transfer:`` or ``gate:``.
        """
        if options.get("argsrepr") is None:  # an empty text hides the prompt
            options["argsrepr"] = format_args(self.name, args, kwargs)
        if options.get("kwargsrepr") is None:
            options["kwargsrepr"] = format_kwargs(kwargs)
        if task_id:
            # With a parent, Celery sends a later step of a canvas, whose ids were checked when it was called.
            task_id = str(task_id) if options.get("parent_id") else self._check_id(task_id)
        return super().apply_async(args, kwargs, task_id, *rest, **options)

    def AsyncResult(self, task_id: Any, **options: Any) -> Any:
        """Check the id of a task and return its result. A canvas calls this for each step before sending the step."""
        return super().AsyncResult(self._check_id(task_id), **options)

    def _check_id(self, task_id: Any) -> str:
        return check_task_id(task_id) if self.is_billed else id_text(task_id)


class GenerateTask(ValidatingTask, RecordedTask, RedactedTask):
    """A task that parks in the ledger and returns an outcome."""

    abstract = True
    is_billed = True
    throws = (GenerationError,)
    Strategy = "mulequeue.tasks.request:limit_submissions"

    def apply_async(
        self, args: Any = None, kwargs: Any = None, task_id: Any = None, *rest: Any, **options: Any
    ) -> Any:
        """Send the task. If the broker does not confirm the message, a repeated call is not billed twice.

        A task without an id from the caller is then cancelled in the ledger; otherwise a note of the error
        advises to repeat the call with the same id.

        :raises kombu.exceptions.OperationalError: the broker does not confirm the message.
        """
        known = task_id or uuid()
        if EPOCH not in (kwargs or {}):
            sent = {ENQUEUED: int(time.time() * 1000)}
            options["headers"] = {**(options.get("headers") or {}), **sent}
            options = {**call_priority(self, kwargs or {}, options), **options}
        try:
            return super().apply_async(args, kwargs, known, *rest, **options)
        except OperationalError as exc:
            from mulequeue.engine.followups.outbox import withdraw

            withdraw(self.app, "task_id", str(known), exc, is_repeatable=bool(task_id))
            raise


class OutboxTask(RedactedTask):
    """A task whose message is recorded in the ledger before a worker publishes it.

    A message that the broker loses is published again. Processes that are not workers publish directly, because
    they may have no access to the ledger.
    """

    abstract = True
    records_calls: ClassVar[bool] = False
    """True: processes that are no workers also record the message, if they reach the ledger."""

    def apply_async(
        self, args: Any = None, kwargs: Any = None, task_id: Any = None, *rest: Any, **options: Any
    ) -> Any:
        """Send the task: through the outbox if a worker sends it or ``records_calls`` is True, else directly."""
        sender = self._get_app().current_worker_task
        if rest or (sender is None and not self.records_calls):
            return super().apply_async(args, kwargs, task_id, *rest, **options)
        from mulequeue.engine.followups import outbox

        options["task_id"] = str(task_id or uuid())
        return outbox.publish(self, sender, args, kwargs, options, super().apply_async)


class ChainedGenerateTask(GenerateTask, OutboxTask):
    """A generating task whose input is an asset of an earlier generation.

    Its message goes through the outbox, because the earlier generation is already paid.
    """

    abstract = True


class LeasedTask(RecordedTask, OutboxTask):
    """A task that holds a lease while it runs and between its attempts."""

    abstract = True
    throws = (TransferError,)


class DownloadTask(ValidatingTask, LeasedTask):
    """A task that stores files. An invalid path template raises in the calling process."""

    abstract = True


class BatchTask(LeasedTask):
    """The task of a batch. It is routed like ``generate``, unless the project routes it separately.

    Its message is recorded in the ledger before it is published, also by a process that is no worker.
    """

    abstract = True
    records_calls = True

    def apply_async(
        self, args: Any = None, kwargs: Any = None, task_id: Any = None, *rest: Any, **options: Any
    ) -> Any:
        """Send the task, by the route of ``generate`` if it has none."""
        if not any(options.get(name) for name in ("exchange", "queue", "routing_key")):
            route = partial(self._get_app().amqp.router.lookup_route, args=args, kwargs=kwargs)
            if not route(self.name):
                options = {**(route("mulequeue.generate") or {}), **options}
        try:
            return super().apply_async(args, kwargs, task_id, *rest, **options)
        except OperationalError as exc:
            if task_id and not self._get_app().current_worker_task:
                from mulequeue.engine.followups.outbox import withdraw

                batch_id = (kwargs or {}).get("batch_id")
                is_repeatable, name = batch_id is not None, batch_id or str(task_id)
                withdraw(self.app, "batch_id", name, exc, is_repeatable=is_repeatable)
            raise

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Store the list of results under ``BATCH_ID-body`` as well, and record the end."""
        if not self.request.ignore_result:
            with suppress(Exception):  # the result of the task is stored in any case
                body = f"{kwargs.get('batch_id') or task_id}-body"
                self.app.backend.forget(body)  # the list from before a member was retried
                self.app.backend.store_result(body, retval, SUCCESS)
        super().on_success(retval, task_id, args, kwargs)
