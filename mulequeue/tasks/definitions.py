"""The Celery tasks. Each is a shell; what it does is in the module it calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celery import shared_task
from celery.exceptions import Ignore

from mulequeue.errors import InputError, generation_error
from mulequeue.outcome import is_outcome
from mulequeue.settings import Settings
from mulequeue.tasks.base import (
    TASK_OPTIONS,
    ChainedGenerateTask,
    GenerateTask,
    LeasedTask,
    PollTask,
)

if TYPE_CHECKING:
    from mulequeue.engine.generation_request import GenerationRequest

__all__ = ["adopt", "download", "gather", "generate", "generate_from", "notify", "poll"]

_CALL = (
    *("profile", "max_wait", "poll_interval", "on_failure", "batch_id", "batch_size"),
    "validate",
)


def _generate(
    task: Any,
    plan_of: Callable[[Settings], GenerationRequest],
    *,
    on_failure: str,
    slim_args: Sequence[Any],
    remote_id: str | None = None,
) -> Any:
    """Park and come back; or wait in line, where there is no message that could be parked."""
    from mulequeue.engine import eager
    from mulequeue.engine.submit import handle_message
    from mulequeue.engine.worker_context import worker_context

    if not (task.request.called_directly or task.request.is_eager):
        ctx = worker_context(task.app)
        try:
            return handle_message.handle_message(
                task,
                ctx,
                lambda: plan_of(ctx.settings),
                on_failure=on_failure,
                slim_args=slim_args,
                remote_id=remote_id,
            )
        except Ignore as exc:
            # A worker copies, formats and pickles each frame it came through, for nobody.
            raise exc.with_traceback(None) from None
    settings = Settings.load(task.app)
    outcome = eager.generate_inline(
        plan_of(settings), settings, task_id=task.request.id or "direct", remote_id=remote_id
    )
    if outcome.succeeded or on_failure == "return":
        return outcome.to_dict()
    raise generation_error(outcome.to_dict())


@shared_task(bind=True, base=GenerateTask, name="mulequeue.generate", **TASK_OPTIONS)
def generate(
    self: Any,
    model: str,
    input: Mapping[str, Any],
    *,
    profile: str | None = None,
    max_wait: float | None = None,
    poll_interval: float | None = None,
    on_failure: str = "raise",
    batch_id: str | None = None,
    batch_size: int | None = None,
    validate: str | None = None,
) -> Any:
    """Make one generation and return its outcome, without holding a worker while it runs.

    The task id is the idempotency key: enqueue the same id twice, pay once. Called directly (or
    eagerly) it waits in line and needs no Redis.

    :param model: ``vendor/model[/action]`` as ``mulequeue models`` lists them, or a ``/vendors/…`` path.
    :param input: the JSON object the API gets, exactly as given; files by :func:`mulequeue.file`.
    :param profile: name of a profile; None is ``default``.
    :param max_wait: seconds it may stay active before its outcome is ``timed_out``; None: by model.
    :param poll_interval: seconds between status checks; None: the cadence the model's page asks for.
    :param on_failure: ``raise``, or ``return`` the outcome as a value (what a chord wants).
    :param batch_id: the batch it counts in; set by ``generate_many``, as is ``batch_size``.
    :param validate: ``strict``, ``warn`` or ``off``: whether the input is held against what the model
        takes; None: the setting ``mulequeue_validate``.
    :returns: the outcome as a dict, see :class:`mulequeue.outcome.Outcome`; a member of a batch
        returns ``{task_id, status, files}`` and the rest is read from the ledger.
    :raises InputError: where it is called, for an input that the model does not take.
    :raises GenerationFailed: and the other :class:`~mulequeue.errors.GenerationError`.
    """
    from mulequeue.engine.generation_request import make_generation_request
    from mulequeue.engine.submit.park import is_new

    call: dict[str, Any] = {
        "profile": profile,
        "max_wait": max_wait,
        "poll_interval": poll_interval,
        "on_failure": on_failure,
        "batch_id": batch_id,
        "batch_size": batch_size,
        "validate": validate,
        "submits": is_new(self.request),
    }
    return _generate(
        self,
        lambda settings: make_generation_request(settings, model, input, **call),
        on_failure=on_failure,
        slim_args=(model, {}),
    )


@shared_task(bind=True, base=ChainedGenerateTask, name="mulequeue.generate_from", **TASK_OPTIONS)
def generate_from(
    self: Any,
    previous: Mapping[str, Any],
    model: str,
    input: Mapping[str, Any],
    *,
    use: str = "image",
    index: int = 0,
    **call: Any,
) -> Any:
    """Make a generation from an asset of the previous one in a chain.

    :param previous: an outcome; one that did not succeed is passed through untouched.
    :param use: the input field that gets ``previous.assets[index].url``; a field that takes a list
        (``images``, or one that already holds a list) gets it appended.
    :param index: which asset.
    :param call: the other arguments of :func:`generate`.
    """
    from mulequeue.engine.followups.download import with_asset
    from mulequeue.engine.generation_request import make_generation_request
    from mulequeue.engine.submit.park import is_new

    if not is_outcome(previous) or set(call) - set(_CALL) or previous["status"] != "succeeded":
        return _once(self, lambda: _forwarded_options(previous, call))

    def plan_of(settings: Settings) -> GenerationRequest:
        merged = with_asset(self, previous, input, use=use, index=index)
        return make_generation_request(
            settings, model, merged, submits=is_new(self.request), **call
        )

    return _generate(
        self,
        plan_of,
        on_failure=call.get("on_failure", "raise"),
        slim_args=({"task_id": previous["task_id"], "status": "succeeded"}, model, {}),
    )


def _forwarded_options(previous: Any, call: Mapping[str, Any]) -> dict[str, Any]:
    """The previous outcome, which did not succeed.

    :raises InputError: it is none, or the call has an argument that does not exist.
    """
    if not is_outcome(previous):
        raise InputError("generate_from needs the outcome of a generation as its first argument.")
    for unknown in set(call) - set(_CALL):
        raise InputError(f"generate_from has no argument {unknown!r}.")
    return dict(previous)


def _once(task: Any, function: Callable[[], Any]) -> Any:
    """What needs no generation; a repeated message does it, and what follows it, no second time."""
    if task.request.called_directly or task.request.is_eager:
        return function()
    from mulequeue.engine.followups.attempts import transfer

    return transfer(task, function, delays=(5,), most_seconds=600)


@shared_task(bind=True, base=GenerateTask, name="mulequeue.adopt", **TASK_OPTIONS)
def adopt(
    self: Any,
    api_path: str,
    remote_id: str,
    *,
    profile: str | None = None,
    max_wait: float | None = None,
    poll_interval: float | None = None,
    on_failure: str = "raise",
) -> Any:
    """Wait for a generation that exists already. Never POSTs.

    :param api_path: where it was created (``/vendors/…``, or a model's name).
    :param remote_id: the API's id of it.
    """
    from mulequeue.engine.generation_request import make_generation_request

    call: dict[str, Any] = {
        "profile": profile,
        "max_wait": max_wait,
        "poll_interval": poll_interval,
        "on_failure": on_failure,
    }
    return _generate(
        self,
        lambda settings: make_generation_request(settings, api_path, {}, submits=False, **call),
        on_failure=on_failure,
        slim_args=(api_path, remote_id),
        remote_id=remote_id,
    )


@shared_task(
    bind=True,
    base=PollTask,
    name="mulequeue.poll",
    ignore_result=True,
    **{**TASK_OPTIONS, "time_limit": 120, "soft_time_limit": 90},
)
def poll(self: Any, token: str) -> None:
    """Check everything that is due, then come back when something is due again.

    :param token: of the one poll message that is valid; any other does nothing.
    """
    from mulequeue.engine.poll.sweep import sweep
    from mulequeue.engine.worker_context import worker_context

    ctx = worker_context(self.app)
    ctx.publish_poll(sweep(ctx, token))


@shared_task(bind=True, base=LeasedTask, name="mulequeue.download", **TASK_OPTIONS)
def download(
    self: Any, outcome: Mapping[str, Any], *, storage: str | None = None, path: str | None = None
) -> dict[str, Any]:
    """Store the assets of an outcome; returns it with ``files``.

    :param outcome: of :func:`generate`; one that did not succeed passes through untouched.
    :param storage: a folder or an fsspec URL; None: the setting ``mulequeue_storage``.
    :param path: the template under it; None: the setting ``mulequeue_storage_path``.
    :raises DownloadError: given up. (A member of a batch returns its error instead, so that one
        lost file does not fail the whole chord.)
    """
    from mulequeue.engine.followups import download

    return download.download(self, outcome, storage=storage, path=path)


@shared_task(bind=True, base=LeasedTask, name="mulequeue.notify", **TASK_OPTIONS)
def notify(self: Any, value: Any, target: str) -> Any:
    """Tell a URL what came of it, signed; returns ``value`` unchanged.

    :param value: an outcome, a list of outcomes (a chord's body), or a task id (``link_error``).
    :param target: an https URL; it gets a Standard Webhooks POST.
    :raises NotificationError: given up after ``mulequeue_notification_max_seconds``.
    """
    from mulequeue.engine.followups import notify

    return notify.notify(self, value, target)


@shared_task(bind=True, base=LeasedTask, name="mulequeue.gather", **TASK_OPTIONS)
def gather(self: Any, results: Any) -> Any:
    """The body of a batch nobody wants to be notified of: its members' results."""
    return _once(self, lambda: results)
