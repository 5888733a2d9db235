"""Build the signature that re-enqueues a parked task."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from celery.exceptions import Ignore
from celery.utils.time import maybe_iso8601, maybe_make_aware

from mulequeue.engine.call_arguments import normalize_arguments
from mulequeue.engine.display import format_args
from mulequeue.engine.queues import wake_priority
from mulequeue.engine.tracing import opentelemetry

EPOCH = "mulequeue_epoch"
"""The keyword argument by which the ledger recognizes a message that it published.

It is in the body of the message: libraries that trace tasks rename, nest and drop headers.
"""

ENQUEUED = "mulequeue_enqueued"
"""The header with the unix milliseconds at which a message was sent; only displays use it."""

# Tasks that follow a billed generation are published with more retries: Celery's default gives up after 0.6 s.
_RETRY_POLICY = {"max_retries": 60, "interval_start": 0.2, "interval_step": 0.2, "interval_max": 2}


class Parked(Ignore):  # type: ignore[misc]  # Celery publishes no types
    """Raised to end a delivery whose generation was submitted or adopted.

    :param model: name of the model; the worker's main process adds it to an event for Flower.
    """

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


def epoch_of(kwargs: Mapping[str, Any] | None, headers: Mapping[str, Any] | None) -> str | None:
    """Return the epoch of a message that the ledger published; None for a message of the user.

    :param headers: of the message; version 0.1.0 stored the epoch there.
    """
    epoch = (kwargs or {}).get(EPOCH)
    return (headers or {}).get(EPOCH) if epoch is None else epoch


def marker_of(request: Any) -> str:
    """Return the epoch of the running task's message as text; empty for a message of the user."""
    return str(epoch_of(request.kwargs, request.headers) or "")


def queued_seconds(request: Any) -> float | None:
    """Return the seconds since a message was sent, by the clocks of both machines; None if it is unknown."""
    sent = (request.headers or {}).get(ENQUEUED)
    return time.time() - sent / 1000 if isinstance(sent, int) else None


def expires_at(task: Any) -> float | None:
    """Return the time (unix seconds) at which the running task's message expires; None: never."""
    given = task.request.expires
    if given is None:
        return None
    moment = maybe_make_aware(maybe_iso8601(given), task.app.timezone)
    return float(moment.timestamp())


def parked_signature(
    task: Any, *, queue: str | None, epoch: str | None = None, **replaced: Any
) -> dict[str, Any]:
    """Return the running task's message as a signature: same id, chain, chord, links and stamps.

    :param queue: the queue of the wake; None: the queue of this message. (A queue that is set later would be
        overridden by the exchange and routing key of the message.)
    :param epoch: marks every message made from the signature; None: no mark.
    :param replaced: arguments, by name, with other values, such as an input that is no longer needed.
    """
    request = task.request
    if epoch is not None:
        replaced[EPOCH] = epoch
    args, kwargs = normalize_arguments(task.name, request.args, request.kwargs, **replaced)
    signature = task.signature_from_request(
        request, args=args, kwargs=kwargs, queue=queue, expires=None, eta=None
    )
    options = signature["options"]
    options.pop("eta", None)
    if epoch is not None or queue != (request.delivery_info or {}).get("routing_key"):
        options["priority"] = wake_priority(task, options.get("priority"))
    headers = {k: v for k, v in (options.get("headers") or {}).items() if k != ENQUEUED}
    options["headers"] = opentelemetry.with_context(headers, request)
    options.setdefault("ignore_result", request.ignore_result)  # Celery before 5.7 drops it
    shown = request.get("argsrepr")
    if shown and shown != format_args(task.name, args, kwargs):
        # The prompt is dropped with the input; Flower keeps showing the original line.
        options["argsrepr"] = shown
    chain = options.get("chain") or []
    for follower in [*chain[-1:], *(options.get("link") or []), options.get("chord")]:
        _set_retry_policy(follower)
    return dict(signature)


def upgrade_signature(signature: dict[str, Any]) -> dict[str, Any]:
    """Return a stored signature in the form that :func:`parked_signature` returns now.

    Version 0.1.0 stored the epoch in a header, and keyword arguments of the caller a second time by position.
    """
    headers = dict(signature["options"].get("headers") or {})
    epoch = headers.pop(EPOCH, None)
    if not epoch:
        return signature
    args, kwargs = normalize_arguments(
        signature["task"], signature["args"], signature["kwargs"], **{EPOCH: epoch}
    )
    options = {**signature["options"], "headers": headers}
    return {**signature, "args": args, "kwargs": kwargs, "options": options}


def _set_retry_policy(signature: Any) -> None:
    if isinstance(signature, Mapping) and not signature.get("subtask_type"):
        signature["options"].setdefault("retry_policy", _RETRY_POLICY)
