"""Record the messages that follow a billed generation in the ledger before a worker publishes them.

A Redis broker delivers a message before it records the receiver: if the worker is killed in between, the
message is lost, and with it a billed picture. A message in the ledger is published again. It still runs
once, because the task id is the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from kombu.exceptions import OperationalError

from mulequeue.engine.redis_retry import call_with_retry
from mulequeue.engine.submit.park import MARKER
from mulequeue.engine.worker_context import WorkerContext, worker_context

logger = logging.getLogger("mulequeue")

# Options of one call, not of the message.
_NOT_KEPT = ("add_to_parent", "connection", "producer", "publisher", "router")


def publish(
    task: Any,
    sender: Any,
    args: Any,
    kwargs: Any,
    options: Mapping[str, Any],
    send: Callable[..., Any],
) -> Any:
    """Record a message in the ledger, then publish it.

    :param sender: the running task that publishes it.
    :param options: of ``apply_async``, with the ``task_id``.
    :param send: Celery's ``apply_async``.
    """
    ctx, task_id = worker_context(task.app), options["task_id"]
    is_expected = _record_expected(
        ctx, task, _signature(task, sender, args, kwargs, options), task_id
    )
    try:
        return send(args, kwargs, **options)
    except OperationalError:
        raise  # it is published when it is overdue
    except Exception:
        # An error in this message would occur in every repetition too.
        if is_expected:
            ctx.ledger.leases.forget(task_id)
        raise


def applies(task: Any, sender: Any, options: Mapping[str, Any]) -> bool:
    """Return whether a message is recorded: another task than its sender, without a deadline.

    :param sender: the running task.
    """
    return (
        not sender.request.is_eager
        and not task.app.conf.task_always_eager
        and sender.request.id != options["task_id"]  # not a retry of itself, which has its lease
        and all(options.get(name) is None for name in ("expires", "eta", "countdown"))
    )


def _signature(
    task: Any, sender: Any, args: Any, kwargs: Any, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the message as a signature; outside of its sender it has to name its parent and root.

    It is marked like a wake, so that a worker validates its input, not the process that repeats it.
    """
    family = {
        "parent_id": sender.request.id,
        "root_id": sender.request.root_id or sender.request.id,
    }
    headers = {**(options.get("headers") or {}), MARKER: ""}
    given = {k: v for k, v in options.items() if v is not None and k not in _NOT_KEPT}
    return dict(task.signature(args, kwargs, **{**family, **given, "headers": headers}))


def _record_expected(
    ctx: WorkerContext, task: Any, signature: dict[str, Any], task_id: str
) -> bool:
    """Return whether the message is recorded now; it is published in any case."""
    try:
        return call_with_retry(ctx, lambda: ctx.ledger.leases.expect(task_id, task.name, signature))
    except Exception as exc:
        logger.warning(
            "%s is published without a lease; if the broker loses it, re-enqueue it manually: %r",
            task.name,
            exc,
            extra={"task_id": task_id},
        )
        return False
