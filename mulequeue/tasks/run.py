"""Run a generating task: park it in a worker, or block where there is no message to park."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from celery.exceptions import Ignore

from mulequeue.errors import InputError, generation_error
from mulequeue.outcome import is_outcome
from mulequeue.settings import Settings

if TYPE_CHECKING:
    from mulequeue.engine.generation_request import GenerationRequest

T = TypeVar("T")
_OPTIONS = frozenset(
    ("profile", "max_wait", "poll_interval", "on_failure", "batch_id", "batch_size", "validate")
)
_ONCE_DELAY_SECONDS, _ONCE_MAX_SECONDS = 5, 600


def run_generation(
    task: Any,
    model: str,
    make_input: Callable[[], Any],
    options: Mapping[str, Any],
    *,
    slim_args: Sequence[Any],
    remote_id: str | None = None,
) -> dict[str, Any]:
    """Handle one delivery of a generating task.

    :param make_input: returns the input; an InputError of it becomes the outcome.
    :param options: keyword arguments of ``generate``.
    :param slim_args: the positional arguments of the message that wakes the task, without the input.
    :param remote_id: id of an existing generation; no create request is sent.
    :returns: the outcome.
    :raises Ignore: the task is parked, or there is nothing to do.
    :raises GenerationError: the outcome did not succeed, and ``on_failure`` is ``raise``.
    """
    on_failure = options.get("on_failure", "raise")

    def make_request(settings: Settings) -> GenerationRequest:
        from mulequeue.engine.generation_request import make_generation_request
        from mulequeue.engine.submit.park import is_new

        # The message of a wake has no input any more, so its input is not validated.
        submits = remote_id is None and is_new(task.request)
        return make_generation_request(settings, model, make_input(), submits=submits, **options)

    if _is_inline(task):
        return _run_inline(task, make_request, on_failure, remote_id)
    from mulequeue.engine.submit.handle_message import handle_message
    from mulequeue.engine.worker_context import worker_context

    ctx = worker_context(task.app)
    try:
        return handle_message(
            task,
            ctx,
            lambda: make_request(ctx.settings),
            on_failure=on_failure,
            slim_args=slim_args,
            remote_id=remote_id,
        )
    except Ignore as exc:
        # A worker copies, formats and pickles every frame of a traceback, and nothing reads it.
        raise exc.with_traceback(None) from None


def run_chained(
    task: Any,
    previous: Any,
    model: str,
    input: Any,
    options: Mapping[str, Any],
    *,
    use: str,
    index: int,
) -> dict[str, Any]:
    """Handle one delivery of ``generate_from``.

    :param previous: the outcome of the previous task; one that did not succeed is returned.
    :raises InputError: ``previous`` is not an outcome, or an option does not exist.
    """
    if not is_outcome(previous) or set(options) - _OPTIONS or previous["status"] != "succeeded":
        return run_once(task, lambda: _forward(previous, options))

    def make_input() -> dict[str, Any]:
        from mulequeue.engine.followups.previous_outcome import with_asset

        return with_asset(task, previous, input, use=use, index=index)

    slim_previous = {"task_id": previous["task_id"], "status": "succeeded"}
    return run_generation(task, model, make_input, options, slim_args=(slim_previous, model, {}))


def run_once(task: Any, function: Callable[[], T]) -> T:
    """Return the result of a function, and ignore later messages of the same task."""
    if _is_inline(task):
        return function()
    from mulequeue.engine.followups.attempts import transfer

    return transfer(task, function, delays=(_ONCE_DELAY_SECONDS,), most_seconds=_ONCE_MAX_SECONDS)


def _is_inline(task: Any) -> bool:
    """Return True if no message delivered the task, so it cannot be parked."""
    return bool(task.request.called_directly or task.request.is_eager)


def _run_inline(
    task: Any,
    make_request: Callable[[Settings], GenerationRequest],
    on_failure: str,
    remote_id: str | None,
) -> dict[str, Any]:
    """Submit and wait in the calling process, without Redis."""
    from mulequeue.engine import eager

    settings = Settings.load(task.app)
    outcome = eager.generate_inline(
        make_request(settings), settings, task_id=task.request.id or "direct", remote_id=remote_id
    ).to_dict()
    if outcome["status"] != "succeeded" and on_failure != "return":
        raise generation_error(outcome)
    return outcome


def _forward(previous: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the previous outcome, which did not succeed.

    :raises InputError: it is not an outcome, or an option does not exist.
    """
    if not is_outcome(previous):
        raise InputError(
            "generate_from needs the outcome of a generation as its first argument. "
            "Put it after generate, adopt or generate_from in a chain."
        )
    for unknown in set(options) - _OPTIONS:
        raise InputError(f"generate_from has no argument {unknown!r}. Remove it.")
    return dict(previous)
