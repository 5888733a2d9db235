"""Record the messages that follow a billed generation in the ledger before a worker publishes them.

A Redis broker delivers a message before it records the receiver: if the worker is killed in between, the
message is lost, and with it a billed picture. A message in the ledger is published again. It still runs
once, because the task id is the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from celery import Signature
from kombu.exceptions import OperationalError

from mulequeue.engine import tracing
from mulequeue.engine.dispatch import tail_of_message
from mulequeue.engine.queues import create_priority
from mulequeue.engine.redis_retry import call_with_retry
from mulequeue.engine.submit.park import EPOCH
from mulequeue.engine.worker_context import WorkerContext, worker_context

logger = logging.getLogger("mulequeue")

_SLICE = 100
NOT_KEPT = ("add_to_parent", "connection", "producer", "publisher", "router")
"""Options of one call, not of the message."""


def publish(
    task: Any,
    sender: Any,
    args: Any,
    kwargs: Any,
    options: Mapping[str, Any],
    send: Callable[..., Any],
) -> Any:
    """Record a message in the ledger, then publish it.

    Publish one with ``expires`` or ``eta``, and a retry of its sender, without a record.

    :param sender: the running task that publishes it.
    :param options: of ``apply_async``, with the ``task_id``.
    :param send: Celery's ``apply_async``.
    """
    if not _applies(task, sender, options):
        return send(args, kwargs, **options)
    ctx, task_id = worker_context(task.app), options["task_id"]
    is_expected = _record_expected(ctx, _signature(task, sender, args, kwargs, options), sender)
    try:
        return send(args, kwargs, **options)
    except Exception as exc:
        # A download is published when it is overdue. A billed task is left to the caller, who may
        # repeat it under another id. Other errors are of the message, so they would occur again.
        if is_expected and (task.is_billed or not isinstance(exc, OperationalError)):
            call_with_retry(ctx, lambda: ctx.ledger.leases.forget(task_id))
        raise


def publish_all(sender: Any, signatures: Iterable[Signature]) -> None:
    """Record messages in the ledger, then publish those that are new.

    :param sender: the running task.
    :param signatures: with their task, root and parent ids.
    :raises redis.exceptions.RedisError: the ledger does not answer; nothing of the rest is published.
    :raises kombu.exceptions.OperationalError: the same of the broker.
    """
    leases, rest = worker_context(sender.app).ledger.leases, iter(signatures)
    with sender.app.producer_or_acquire() as producer:
        while part := list(islice(rest, _SLICE)):
            new = leases.expect_all([_expected(item, sender) for item in part])
            for signature in part:
                if signature.id in new:
                    signature.apply_async(producer=producer, add_to_parent=False)


def _applies(task: Any, sender: Any, options: Mapping[str, Any]) -> bool:
    return (
        not sender.request.is_eager
        and not task.app.conf.task_always_eager
        and sender.request.id != options["task_id"]  # not a retry of itself, which has its lease
        and all(options.get(name) is None for name in ("expires", "eta", "countdown"))
    )


def _signature(
    task: Any, sender: Any, args: Any, kwargs: Any, options: Mapping[str, Any]
) -> Signature:
    """Return the message as a signature that names its parent and root, as Celery does in the sender."""
    family = {
        "parent_id": sender.request.id,
        "root_id": sender.request.root_id or sender.request.id,
    }
    given = {k: v for k, v in options.items() if v is not None and k not in NOT_KEPT}
    return task.signature(args, kwargs, **{**family, **given})


def _expected(signature: Signature, sender: Any) -> tuple[str, str, dict[str, Any], str]:
    """Return a message as the ledger records it: with the signature that repeats it.

    A rate limit does not delay a repetition, so an empty epoch marks it like a wake.
    """
    headers = tracing.with_context(signature.options.get("headers"), sender.request)
    repetition = dict(signature)
    if headers:
        repetition["options"] = {**signature.options, "headers": headers}
    if signature.type.is_billed:
        repetition["kwargs"] = {**signature.kwargs, EPOCH: ""}
        repetition["options"] = {**create_priority(signature.type), **repetition["options"]}
    return signature.id, signature.task, repetition, tail_of_message(signature.options)


def _record_expected(ctx: WorkerContext, signature: Signature, sender: Any) -> bool:
    """Return whether the message is recorded now; it is published in any case."""
    task_id, task, repetition, tail = _expected(signature, sender)
    try:
        expect = ctx.ledger.leases.expect
        return call_with_retry(ctx, lambda: expect(task_id, task, repetition, tail=tail))
    except Exception as exc:
        logger.warning(
            "%s is published without a lease; if the broker loses it, re-enqueue it manually: %r",
            task,
            exc,
            extra={"task_id": task_id},
        )
        return False
