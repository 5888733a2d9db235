"""Record messages in the ledger before they are published: those that follow a billed generation, and batches.

A Redis broker delivers a message before it records the receiver: if the worker is killed in between, the
message is lost, and with it a billed picture. A broker that is emptied loses the message of a batch that no
worker has begun. A message in the ledger is published again. The task still runs once, because its id is the
same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from celery import Signature
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from mulequeue.engine.following_tasks import tail_of_message
from mulequeue.engine.queues import create_priority
from mulequeue.engine.redis_retry import call_with_retry
from mulequeue.engine.submit.park import EPOCH
from mulequeue.engine.tracing import opentelemetry
from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.ledger import Ledger
from mulequeue.ledger.probe import probe_connection

logger = logging.getLogger("mulequeue")

_SLICE = 100
_NOT_KEPT = ("add_to_parent", "connection", "producer", "publisher", "router")
"""Options of one call, not of the message."""
_CALLER_TIMEOUT_SECONDS = 1.0
_CALLER_PAUSE_SECONDS = 10.0
"""Seconds in which a caller records no message, after the ledger did not answer."""


def publish(
    task: Any,
    sender: Any,
    args: Any,
    kwargs: Any,
    options: Mapping[str, Any],
    send: Callable[..., Any],
) -> Any:
    """Record a message in the ledger, then publish it.

    :param sender: the running task that publishes the message; None: the calling process of a batch. It may have
        no access to the ledger, so it waits at most a second for each answer.
    :param options: of ``send``, Celery's ``apply_async``, with the ``task_id``.
    """
    ledger = None
    if _applies(task, sender, options):
        ledger = _record(task, sender, _signature(task, sender, args, kwargs, options))
    try:
        return send(args, kwargs, **options)
    except Exception as exc:
        # After an error of the broker, a sweep publishes a download when it is overdue. A call or a billed task is
        # removed, because the caller may repeat it under another id. Other errors are caused by the message, so
        # they would occur again.
        is_left = sender is None or task.is_billed or not isinstance(exc, OperationalError)
        if ledger is not None and is_left:
            forget = partial(ledger.leases.forget, options["task_id"])
            if sender is not None:
                call_with_retry(worker_context(task.app), forget)
            else:
                with suppress(RedisError):
                    forget()
        raise


def publish_all(sender: Any, signatures: Iterable[Signature]) -> None:
    """Record the messages of a running task in the ledger, then publish those that are new.

    :param signatures: with their task, root and parent ids.
    :raises redis.exceptions.RedisError: Redis does not answer; the remaining messages are not published.
    :raises kombu.exceptions.OperationalError: the broker does not answer. A sweep publishes the remaining messages of
        the slice, which are in the ledger.
    """
    leases, rest = worker_context(sender.app).ledger.leases, iter(signatures)
    with sender.app.producer_or_acquire() as producer:
        while part := list(islice(rest, _SLICE)):
            new = leases.expect_all([_expected(item, sender) for item in part])
            for signature in part:
                if signature.id in new:
                    signature.apply_async(producer=producer, add_to_parent=False)


def _applies(task: Any, sender: Any, options: Mapping[str, Any]) -> bool:
    """Return whether a message has to be recorded.

    Not recorded are messages with ``expires``, ``eta`` or ``countdown``, messages in eager mode, and messages that
    the ledger has already: the retry of ``sender`` itself, and the wake of a batch.
    """
    if sender is None:
        is_recorded = options.get("add_to_parent") is False
    else:
        is_recorded = sender.request.is_eager or sender.request.id == options["task_id"]
    has_time = any(options.get(name) is not None for name in ("expires", "eta", "countdown"))
    return not (is_recorded or has_time or task.app.conf.task_always_eager)


def _signature(
    task: Any, sender: Any, args: Any, kwargs: Any, options: Mapping[str, Any]
) -> Signature:
    """Return the message as a signature that names its parent and root, as Celery does in the sender."""
    kept = {k: v for k, v in options.items() if v is not None and k not in _NOT_KEPT}
    if sender is not None:
        request = sender.request
        kept = {"parent_id": request.id, "root_id": request.root_id or request.id, **kept}
    return task.signature(args, kwargs, **kept)


def _expected(signature: Signature, sender: Any) -> tuple[str, str, dict[str, Any], str]:
    """Return what the ledger records of a message: id, task name, the signature to repeat it with, and tail.

    In the signature of a billed task an empty epoch marks the repetition like a wake, because a rate limit must
    not delay it.
    """
    headers = signature.options.get("headers")
    if sender is not None:
        headers = opentelemetry.with_context(headers, sender.request)
    repetition = dict(signature)
    if headers:
        repetition["options"] = {**signature.options, "headers": headers}
    if signature.type.is_billed:
        repetition["kwargs"] = {**signature.kwargs, EPOCH: ""}
        repetition["options"] = {**create_priority(signature.type), **repetition["options"]}
    return signature.id, signature.task, repetition, tail_of_message(signature.options)


def _record(task: Any, sender: Any, signature: Signature) -> Ledger | None:
    """Record a message, if possible; return the ledger if the message is new in it, or None."""
    try:
        ctx = worker_context(task.app)
        ledger = _ledger_of_caller(ctx) if sender is None else ctx.ledger
        if ledger is None:
            return None
        task_id, name, repetition, tail = _expected(signature, sender)
        expect = partial(ledger.leases.expect, task_id, name, repetition, tail=tail)
        if sender is None:
            is_new = _expect_call(ctx, ledger, signature, expect)
        else:
            is_new = call_with_retry(ctx, expect)
        return ledger if is_new else None
    except Exception as exc:  # also a setting that is wrong, or an option that is no JSON
        logger.warning(
            "%s is published without a lease; if the broker loses it, re-enqueue it manually: %r",
            task.name,
            exc,
            extra={"task_id": signature.id},
        )
        return None


def _expect_call(
    ctx: WorkerContext, ledger: Ledger, signature: Signature, expect: Callable[[], bool]
) -> bool:
    """Record the call of a batch; return whether it is new. Return False if Redis does not answer."""
    batch_id = signature.kwargs.get("batch_id") or signature.id
    try:
        ledger.enqueued.add([batch_id], ttl_seconds=ctx.settings.record_ttl_seconds)
        return expect()
    except RedisError as exc:
        ctx.state["caller_pause_ends"] = time.monotonic() + _CALLER_PAUSE_SECONDS
        ctx.redis_availability.mark_down(exc)
        return False


def _ledger_of_caller(ctx: WorkerContext) -> Ledger | None:
    """Return the ledger with a timeout of 1 s; None: no fleet is used, or Redis failed in the last 10 s."""
    if not ctx.has_fleet or time.monotonic() < ctx.state.get("caller_pause_ends", 0.0):
        return None
    return ctx.shared(_quick_ledger)


def _quick_ledger(ctx: WorkerContext) -> Ledger:
    client = probe_connection(ctx.settings.redis_url, _CALLER_TIMEOUT_SECONDS)
    return Ledger(client, ctx.settings.fleet)


def withdraw(app: Any, name: str, value: str, exc: Exception, *, is_repeatable: bool) -> None:
    """Cancel a call that the broker did not confirm, because it may have accepted the message.

    :param name: ``task_id`` of a generation, or ``batch_id``.
    :param exc: the error of the call; it gets a note if the call may still be billed.
    :param is_repeatable: whether the caller chose the id. Then nothing is cancelled: the call can be repeated under
        the same id, and is billed once.
    """
    if not is_repeatable and _is_cancelled(app, name, value):
        return
    exc.add_note(
        f"The broker may have taken the message. Repeat the call with {name}={value!r}: it is then "
        "billed once."
    )


def _is_cancelled(app: Any, name: str, value: str) -> bool:
    """Cancel a batch, or a generation without a record; return whether that worked."""
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
