"""The base classes of mulequeue's tasks.

They and :mod:`mulequeue.tasks.definitions` import the engine inside functions: a web process that only
sends tasks loads no HTTP client, no storage and no Redis client, and starts in half the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from celery import Task
from celery.utils import uuid

from mulequeue.engine.display import format_args, format_kwargs
from mulequeue.engine.queues import NULL_DISPATCHER
from mulequeue.engine.submit.park import MARKER
from mulequeue.errors import GenerationError, TransferError
from mulequeue.tasks.input_validation import validate_task_call

_SIX_HOURS = 6 * 3600
# Independent of the app's defaults: the message of a lost worker is redelivered, an ignored duplicate
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
_CANVAS_OPTIONS = ("group_id", "chord", "chain")


class RedactedTask(Task):
    """A task whose messages show no input, no outcome and no path of a notification URL."""

    abstract = True
    Request = "mulequeue.tasks.request:RedactedRequest"

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Send the task with ``argsrepr`` and ``kwargsrepr``, unless the caller sets them."""
        if options.get("argsrepr") is None:
            options["argsrepr"] = format_args(self.name, args, kwargs)
        if options.get("kwargsrepr") is None:
            options["kwargsrepr"] = format_kwargs(kwargs)
        return super().apply_async(args, kwargs, *rest, **options)


class EventlessTask(RedactedTask):
    """A task that sends no events.

    The poll task runs twice per second. Flower keeps 100,000 tasks, so it would soon keep only poll
    tasks. ``celery inspect scheduled`` shows the poll message.
    """

    abstract = True
    send_events = False  # of the worker

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Send the task without the event ``task-sent``."""
        return super().apply_async(args, kwargs, *rest, event_dispatcher=NULL_DISPATCHER, **options)


class PinnedTask(RedactedTask):
    """A task whose :data:`TASK_OPTIONS` override the project's ``task_annotations``."""

    abstract = True
    pinned_options: ClassVar[tuple[str, ...]] = tuple(TASK_OPTIONS)

    @classmethod
    def annotate(cls) -> None:
        """Apply the app's annotations, except to the pinned options."""
        pinned = {name: getattr(cls, name) for name in cls.pinned_options}
        super().annotate()
        for name, value in pinned.items():
            setattr(cls, name, value)


class PollTask(PinnedTask, EventlessTask):
    """The poll task. It has no rate limit, which would delay every generation of the fleet."""

    abstract = True
    pinned_options = (*TASK_OPTIONS, "rate_limit")
    rate_limit = 0  # not None, which would select task_default_rate_limit


class ValidatingTask(RedactedTask):
    """A task that validates its model and its input where it is called.

    Making a signature validates it, so an invalid one raises before any part of its canvas is
    published. The worker validates calls that arrive by task name or inside a canvas; their error
    becomes the outcome. Neither sends an invalid input to the API.
    """

    abstract = True

    def s(self, *args: Any, **kwargs: Any) -> Any:
        """Return a signature.

        :raises InputError: the input is invalid.
        """
        validate_task_call(self, args, kwargs)
        return super().s(*args, **kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Any:
        """Return an immutable signature.

        :raises InputError: the input is invalid.
        """
        validate_task_call(self, args, kwargs)
        return super().si(*args, **kwargs)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Send the task. Celery never calls this method, so it validates in a running task as well.

        :raises InputError: the input is invalid.
        """
        validate_task_call(self, args, kwargs)
        return super().delay(*args, **kwargs)

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Send the task.

        :raises InputError: the input is invalid, and the user made this call.
        """
        if self._is_direct_call(options):
            validate_task_call(self, args or (), kwargs or {})
        return super().apply_async(args, kwargs, *rest, **options)

    def _is_direct_call(self, options: Mapping[str, Any]) -> bool:
        """Return True if the user sends this task alone.

        Running tasks send the next step of a canvas, workers send parked tasks again, and a canvas
        sends its parts one by one: an error there would leave the other parts without this one.
        """
        is_wake = MARKER in (options.get("headers") or {}) or options.get("add_to_parent") is False
        is_part = any(options.get(name) for name in _CANVAS_OPTIONS)
        return not (is_wake or is_part or self._get_app().current_worker_task)


class GenerateTask(ValidatingTask, PinnedTask):
    """A task that parks in the ledger and returns an outcome."""

    abstract = True
    throws = (GenerationError,)
    Strategy = "mulequeue.tasks.request:limit_submissions"

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Record that Celery dispatched the tasks that follow."""
        _record_dispatch(self)

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Record that Celery dispatched the tasks that follow."""
        _record_dispatch(self, exc)


class OutboxTask(PinnedTask):
    """A task that a worker writes to the ledger before it publishes the message.

    A message that the broker loses is published again. Other processes may not reach the ledger, so
    they publish directly.
    """

    abstract = True

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Send the task, through the outbox if a task of a worker sends it."""
        sender = self._get_app().current_worker_task
        if sender is None or rest:
            return super().apply_async(args, kwargs, *rest, **options)
        from mulequeue.engine.followups import outbox

        options["task_id"] = options.get("task_id") or uuid()
        if not outbox.applies(self, sender, options):
            return super().apply_async(args, kwargs, **options)
        return outbox.publish(self, sender, args, kwargs, options, super().apply_async)


class ChainedGenerateTask(GenerateTask, OutboxTask):
    """A generating task whose input is the asset of a generation that was billed before."""

    abstract = True


class LeasedTask(OutboxTask):
    """A task that holds a lease while it runs and between its attempts."""

    abstract = True
    throws = (TransferError,)

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Record that Celery dispatched the tasks that follow."""
        _record_dispatch(self)

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Record that Celery dispatched the tasks that follow."""
        _record_dispatch(self, exc)


def _record_dispatch(task: Task, exc: Exception | None = None) -> None:
    """Mark the record and the lease of a task as delivered; later messages of it are ignored."""
    from mulequeue.engine.followups import attempts
    from mulequeue.engine.submit import handle_message

    handle_message.on_dispatched(task, exc)
    attempts.on_end(task, exc)
