"""What mulequeue's tasks share: settings of their own, and what follows a dispatch.

Here and in :mod:`mulequeue.tasks.definitions` what the tasks do is imported where it is done: a web process that
only sends them loads no HTTP client, no storage and no Redis, and starts in half the time.
"""

from __future__ import annotations

from typing import Any, ClassVar

from celery.utils import uuid

from mulequeue.errors import GenerationError, TransferError
from mulequeue.tasks.argsrepr import EventlessTask, RedactedTask
from mulequeue.tasks.input_validation import ValidatingTask

_SIX_HOURS = 6 * 3600
# The tasks set these for themselves, whatever the app's defaults are: a lost worker's message comes
# back, an ignored duplicate writes nothing, and a global time limit never cuts a paid submission.
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


class PinnedTask(RedactedTask):
    """A task whose own settings also stand against the project's ``task_annotations``."""

    abstract = True
    pinned_options: ClassVar[tuple[str, ...]] = tuple(TASK_OPTIONS)

    @classmethod
    def annotate(cls) -> None:
        """Annotations for ``*`` are meant for the project's tasks; what ours need stays."""
        kept = {name: getattr(cls, name) for name in cls.pinned_options}
        super().annotate()
        for name, value in kept.items():
            setattr(cls, name, value)


class PollTask(PinnedTask, EventlessTask):
    """The poll loop: a rate limit would hold up every generation of the fleet."""

    abstract = True
    pinned_options = (*TASK_OPTIONS, "rate_limit")
    rate_limit = 0  # not None, which would take ``task_default_rate_limit``


class GenerateTask(ValidatingTask, PinnedTask):
    """A task that parks in the ledger and comes back with an outcome."""

    abstract = True
    throws = (GenerationError,)
    Strategy = "mulequeue.tasks.request:limit_submissions"

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        _handle_message().on_dispatched(self)
        _attempts().on_end(self)

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        _handle_message().on_dispatched(self, exc)
        _attempts().on_end(self, exc)


class OutboxTask(PinnedTask):
    """A task that stands in the ledger before its message leaves a worker.

    Not where a user's own process sends it: that need not reach the ledger.
    """

    abstract = True

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Celery's own; what a broker loses is published again."""
        sender = self._get_app().current_worker_task
        if sender is None or rest:
            return super().apply_async(args, kwargs, *rest, **options)
        from mulequeue.engine.followups import outbox

        options["task_id"] = options.get("task_id") or uuid()
        if not outbox.applies(self, sender, options):
            return super().apply_async(args, kwargs, **options)
        return outbox.publish(self, sender, args, kwargs, options, super().apply_async)


class ChainedGenerateTask(GenerateTask, OutboxTask):
    """A generating task that is made from what was generated, and paid, before it."""

    abstract = True


class LeasedTask(OutboxTask):
    """A task that holds a lease while it runs and between its attempts."""

    abstract = True
    throws = (TransferError,)

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        _attempts().on_end(self)

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        _attempts().on_end(self, exc)


def _handle_message() -> Any:
    from mulequeue.engine.submit import handle_message

    return handle_message


def _attempts() -> Any:
    from mulequeue.engine.followups import attempts

    return attempts
