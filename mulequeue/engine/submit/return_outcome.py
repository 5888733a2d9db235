"""The second delivery: the woken task returns its outcome, and Celery dispatches what follows."""

from __future__ import annotations

import logging
from typing import Any

from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.errors import GenerationError, generation_error
from mulequeue.ledger import Verdict, outcome_of
from mulequeue.signals import generation_settled

logger = logging.getLogger("mulequeue")
_RETURNED = "mulequeue_handed_over"


def return_outcome(
    task: Any, ctx: WorkerContext, verdict: Verdict, epoch: str, *, run: str, on_failure: str
) -> dict[str, Any]:
    """The outcome, returned or raised; the record stays ``delivering`` until Celery dispatched.

    :raises GenerationError: it did not succeed, with ``on_failure="raise"``.
    """
    assert verdict.record is not None
    record = verdict.record
    setattr(task.request, _RETURNED, (record.task_id, epoch))
    outcome = outcome_of(record)
    generation_settled.send(sender=task, task_id=record.task_id, outcome=outcome)
    if record.batch is not None:
        return {"task_id": record.task_id, "status": outcome.status, "files": []}
    if outcome.succeeded or on_failure == "return":
        return outcome.to_dict()
    if task.request.chord:
        logger.warning(
            "a generation that did not succeed fails its whole chord; with on_failure='return' "
            "the outcome is a value and the body runs",
            extra={"task_id": record.task_id, "status": outcome.status},
        )
    raise generation_error(outcome.to_dict())


def on_dispatched(task: Any, exc: BaseException | None = None) -> None:
    """Called by Celery after it dispatched what follows: the record is delivered.

    Any other failure (a publish that did not work) leaves it, to be woken again.
    """
    handed = getattr(task.request, _RETURNED, None)
    if handed is None or not (exc is None or isinstance(exc, GenerationError)):
        return
    ctx = worker_context(task.app)
    ctx.ledger.end_delivery(*handed, ttl_seconds=ctx.settings.record_ttl_seconds)
