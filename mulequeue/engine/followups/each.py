"""The task ``each``: call a task of the user with the outcome of a batch's member.

The user's task runs under the lease of ``each``: after an error, or if the worker is killed, it is called again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery.exceptions import Ignore

from mulequeue.engine.followups.attempts import run_leased
from mulequeue.engine.followups.batch_results import read_outcome
from mulequeue.engine.followups.judge import MAX_ATTEMPTS, Policy
from mulequeue.errors import ConfigurationError
from mulequeue.outcome import is_reference

DELAYS_SECONDS = (5, 15, 60, 300, 900, 1800, 3600)
MAX_SECONDS = 24 * 3600.0


def each(task: Any, value: Mapping[str, Any], call: Mapping[str, Any]) -> None:
    """Handle one delivery of ``each``."""
    if task.request.called_directly or task.request.is_eager:
        _call(task.app, value, call)
        return

    policy = Policy(
        delays=DELAYS_SECONDS,
        max_seconds=MAX_SECONDS,
        max_unexpected_errors=MAX_ATTEMPTS,
        generation=value["task_id"],
        error_field="each_error",
    )
    run_leased(task, lambda attempt: _call(task.app, value, call), policy)


def _call(app: Any, value: Mapping[str, Any], call: Mapping[str, Any]) -> None:
    """Call the user's task with the whole outcome.

    :raises ConfigurationError: this worker has no such task; another one may.
    """
    name = call["task"]
    if name not in app.tasks:
        raise ConfigurationError(
            f"each names the task {name}, which this worker has not registered. Import its module in "
            "every worker that takes its queue."
        )
    outcome = read_outcome(app, value).to_dict() if is_reference(value) else dict(value)
    try:
        app.tasks[name](outcome, *call["args"], **call["kwargs"])
    except Ignore:
        return  # the user's task ended itself, which is no error
