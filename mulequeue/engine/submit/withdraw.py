"""Withdraw a call whose message the broker did not confirm."""

from __future__ import annotations

import logging
from typing import Any

from mulequeue.engine.worker_context import worker_context

logger = logging.getLogger("mulequeue")


def withdraw(
    app: Any, task_id: str, exc: Exception, *, is_repeatable: bool, is_batch: bool = False
) -> None:
    """Cancel a call that raised, in case the broker has taken its message after all.

    The caller may repeat the call, and without an id of the caller the repetition has another one.

    :param task_id: of a generation, or the id of a batch.
    :param exc: the error of the call; it gets a note if the message can still be billed.
    :param is_repeatable: the caller chose the id, so a repetition is the same generation.
    """
    if not is_repeatable and _is_cancelled(app, task_id, is_batch):
        return
    name = "batch_id" if is_batch else "task_id"
    exc.add_note(
        f"The broker may have taken the message. Repeat the call with {name}={task_id!r}: it is then "
        "billed once."
    )


def _is_cancelled(app: Any, task_id: str, is_batch: bool) -> bool:
    """Return whether the ledger keeps the call from being submitted."""
    try:
        ctx = worker_context(app)
        if ctx.ledger.queries.record(task_id) is not None:
            return False
        batch_id, task_ids = (task_id, []) if is_batch else ("", [task_id])
        ttl = ctx.settings.record_ttl_seconds
        ctx.ledger.generations.cancel_batch(batch_id, task_ids, ttl_seconds=ttl)
    except Exception as exc:
        extra = {"task_id": task_id}
        logger.warning("a call that failed could not be withdrawn: %r", exc, extra=extra)
        return False
    return True
