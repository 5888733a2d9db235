"""Withdraw a call whose message the broker did not confirm."""

from __future__ import annotations

import logging
from typing import Any

from mulequeue.engine.worker_context import worker_context

logger = logging.getLogger("mulequeue")


def withdraw(app: Any, name: str, value: str, exc: Exception, *, is_repeatable: bool) -> None:
    """Cancel a call that raised, in case the broker has taken its message after all.

    The caller may repeat the call, and without an id of the caller the repetition has another one.

    :param name: ``task_id`` of a generation, or ``batch_id``.
    :param exc: the error of the call; it gets a note if the message can still be billed.
    :param is_repeatable: the caller chose the id, so a repetition is the same generation.
    """
    if not is_repeatable and _is_cancelled(app, name, value):
        return
    exc.add_note(
        f"The broker may have taken the message. Repeat the call with {name}={value!r}: it is then "
        "billed once."
    )


def _is_cancelled(app: Any, name: str, value: str) -> bool:
    """Return whether the ledger keeps the call from being submitted."""
    try:
        ctx = worker_context(app)
        generations, ttl = ctx.ledger.generations, ctx.settings.record_ttl_seconds
        if name == "batch_id":
            generations.cancel_batch(value, ttl_seconds=ttl)
        elif ctx.ledger.queries.record(value) is not None:
            return False
        else:
            generations.cancel(value, ttl_seconds=ttl)
    except Exception as exc:
        logger.warning(
            "a call that failed could not be withdrawn: %r", exc, extra={"task_id": value}
        )
        return False
    return True
