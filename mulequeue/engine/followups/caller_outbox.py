"""Record the message of a batch in the ledger where the batch is called.

A broker that is emptied loses the message of a batch that no worker has begun. The fleet publishes a
message that is in the ledger again. The caller may not reach the ledger, so a call waits at most a second
for it, and is sent in any case.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from celery.utils import uuid
from redis.exceptions import RedisError

from mulequeue.engine.dispatch import tail_of_message
from mulequeue.engine.followups.outbox import NOT_KEPT
from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.ledger import Ledger
from mulequeue.ledger.probe import probe_connection

logger = logging.getLogger("mulequeue")
_TIMEOUT_SECONDS = 1.0
_PAUSE_SECONDS = 10.0
"""Seconds without a record after the ledger did not answer."""


def publish(
    task: Any, args: Any, kwargs: Any, options: Mapping[str, Any], send: Callable[..., Any]
) -> Any:
    """Record the message of a batch, then publish it.

    :param options: of ``apply_async``.
    :param send: Celery's ``apply_async``.
    """
    options = {**options, "task_id": str(options.get("task_id") or uuid())}
    recorded_in = _record(task, args, kwargs, options) if _applies(task, options) else None
    try:
        return send(args, kwargs, **options)
    except Exception:
        if recorded_in is not None:  # the caller may repeat the call, or not
            with suppress(RedisError):
                recorded_in.leases.forget(options["task_id"])
        raise


def _applies(task: Any, options: Mapping[str, Any]) -> bool:
    """Return whether a message is recorded: one of the user, without a deadline, for a fleet."""
    conf = task.app.conf
    is_wake = options.get("add_to_parent") is False
    has_time = any(options.get(name) is not None for name in ("expires", "eta", "countdown"))
    return not (is_wake or has_time or conf.task_always_eager)


def _record(task: Any, args: Any, kwargs: Any, options: Mapping[str, Any]) -> Ledger | None:
    """Record a message; return the ledger if it is new there."""
    kept = {k: v for k, v in options.items() if v is not None and k not in NOT_KEPT}
    try:
        ctx = worker_context(task.app)
        ledger = _ledger_of(ctx)
        if ledger is None:
            return None
        batch_id = (kwargs or {}).get("batch_id") or options["task_id"]
        ledger.enqueued.add([batch_id], ttl_seconds=ctx.settings.record_ttl_seconds)
        signature = task.signature(args, kwargs, **kept)
        tail = tail_of_message(options)
        is_new = ledger.leases.expect(options["task_id"], task.name, signature, tail=tail)
        return ledger if is_new else None
    except RedisError as exc:
        ctx.state["caller_pause_ends"] = time.monotonic() + _PAUSE_SECONDS
        ctx.redis_availability.mark_down(exc)
    except Exception as exc:  # a setting that is wrong, or an option that is no JSON
        logger.warning(
            "%s is published without a lease; if the broker loses it, re-enqueue it manually: %r",
            task.name,
            exc,
            extra={"task_id": options["task_id"]},
        )
    return None


def _ledger_of(ctx: WorkerContext) -> Ledger | None:
    """Return the ledger with a short timeout; None: it is of no fleet, or did not answer lately."""
    if not ctx.has_fleet or time.monotonic() < ctx.state.get("caller_pause_ends", 0.0):
        return None
    ledger: Ledger | None = ctx.state.get("caller_ledger")
    if ledger is None:
        client = probe_connection(ctx.settings.redis_url, _TIMEOUT_SECONDS)
        ledger = ctx.state["caller_ledger"] = Ledger(client, ctx.settings.fleet)
    return ledger
