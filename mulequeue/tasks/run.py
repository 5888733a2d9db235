"""Run a generating task: in a worker, park it; called directly or eagerly, wait for the outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from celery.exceptions import Ignore
from celery.utils import uuid

from mulequeue.engine.generation_call import (
    OPTION_NAMES,
    CallOptions,
    GenerationCall,
    check_option_names,
    id_text,
)
from mulequeue.errors import InputError, generation_error
from mulequeue.outcome import is_outcome
from mulequeue.settings import Settings

T = TypeVar("T")
_ONCE_DELAYS_SECONDS, _ONCE_MAX_SECONDS = (5,), 600


def run_generation(task: Any, call: GenerationCall) -> dict[str, Any]:
    """Handle one delivery of a generating task, and return its outcome.

    :raises Ignore: the task is parked, or the ledger has nothing to do for this message, such as a duplicate.
    :raises GenerationError: the generation did not succeed, and ``on_failure`` is ``raise``.
    """
    if task.request.called_directly or task.request.is_eager:
        return _run_inline(task, call)
    from mulequeue.engine.submit.handle_message import handle_message
    from mulequeue.engine.worker_context import context_of

    try:
        return handle_message(task, context_of(task), call)
    except Ignore as exc:
        # A worker would copy, format and pickle every frame of the traceback, which is never read.
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

    :param previous: the outcome of the previous task. If it is not ``succeeded``, it is returned.
    :raises InputError: ``previous`` is not an outcome, or an option does not exist.
    """
    is_good = is_outcome(previous) and previous["status"] == "succeeded"
    if not is_good or set(options) - OPTION_NAMES:
        return run_once(task, lambda: _forward(previous, options))
    from mulequeue.engine.followups.fresh_assets import with_asset, with_fresh_asset

    call = GenerationCall(
        model=model,
        make_input=lambda: with_asset(task, previous, input, use=use, index=index),
        refresh_input=lambda settings: with_fresh_asset(
            task.app, previous, input, settings, use=use, index=index
        ),
        options=CallOptions(**{"metadata": previous.get("metadata"), **options}),
        replaced={
            "previous": {"task_id": previous["task_id"], "status": "succeeded"},
            "input": {},
        },
    )
    return run_generation(task, call)


def run_once(task: Any, function: Callable[[], T]) -> T:
    """Return the result of a function, and ignore later messages of the same task.

    :param function: must have no side effects: it is called again if the result has to be dispatched again.
    """
    if task.request.called_directly or task.request.is_eager:
        return function()
    from mulequeue.engine.followups.attempts import run_leased
    from mulequeue.engine.followups.judge import Policy

    policy = Policy(delays=_ONCE_DELAYS_SECONDS, max_seconds=_ONCE_MAX_SECONDS, keeps_value=False)
    result: T = run_leased(task, lambda attempt: function(), policy)
    return result


def _run_inline(task: Any, call: GenerationCall) -> dict[str, Any]:
    """Submit and wait in the calling process, without Redis."""
    from mulequeue.engine import eager
    from mulequeue.engine.generation_request import request_of
    from mulequeue.ledger.records import outcome_of

    settings = Settings.load(task.app)
    record = eager.generate_inline(
        request_of(call, settings),
        settings,
        task_id=id_text(task.request.id or uuid()),
        remote_id=call.remote_id,
    )
    outcome = outcome_of(record).to_dict()
    if outcome["status"] != "succeeded" and call.options.on_failure != "return":
        raise generation_error(outcome)
    return outcome


def _forward(previous: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the previous outcome; raise InputError as :func:`run_chained` does."""
    if not is_outcome(previous):
        raise InputError(
            "generate_from needs the outcome of a generation as its first argument. "
            "Put it after generate, adopt or generate_from in a chain."
        )
    check_option_names("generate_from", options)
    return dict(previous)
