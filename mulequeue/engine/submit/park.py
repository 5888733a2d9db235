"""Build the signature that re-enqueues a parked task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from celery.exceptions import Ignore

from mulequeue.engine.display import format_args

MARKER = "mulequeue_epoch"

# A billed generation's follow-up waits longer for the broker: Celery's default gives up after 0.6 s.
_RETRY_POLICY = {"max_retries": 60, "interval_start": 0.2, "interval_step": 0.2, "interval_max": 2}


class Parked(Ignore):  # type: ignore[misc]  # Celery publishes no types
    """Raised to end a delivery whose generation was submitted.

    :param model: its name; the worker's main process adds it to an event for Flower.
    """

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


def marker_of(request: Any) -> str:
    """Return the epoch that a wake wrote into this message, or an empty text for a user's message."""
    return str((request.headers or {}).get(MARKER) or "")


def is_new(request: Any) -> bool:
    """Return whether the user sent the message: the input of a woken one was checked before."""
    return not marker_of(request)


def parked_signature(
    task: Any, *, queue: str | None, epoch: str, args: Sequence[Any] | None = None
) -> dict[str, Any]:
    """Return the running task's message as a signature: same id, chain, chord, links and stamps.

    :param queue: where a wake publishes it; None: where this message came from. (The exchange and
        routing key of the message would override a queue that is set later.)
    :param epoch: marks every message made from the signature.
    :param args: other positional arguments; the input is dropped after it was sent.
    """
    request = task.request
    headers = {**(request.headers or {}), MARKER: epoch}
    signature = task.signature_from_request(
        request, args=args, queue=queue, expires=None, eta=None, headers=headers
    )
    options = signature["options"]
    options.pop("eta", None)
    shown = request.get("argsrepr")
    if shown and shown != format_args(task.name, signature["args"], signature["kwargs"]):
        # The prompt is dropped with the input; Flower keeps showing the original line.
        options["argsrepr"] = shown
    chain = options.get("chain") or []
    for follower in [*chain[-1:], *(options.get("link") or []), options.get("chord")]:
        _set_retry_policy(follower)
    return dict(signature)


def _set_retry_policy(signature: Any) -> None:
    if isinstance(signature, Mapping) and not signature.get("subtask_type"):
        signature["options"].setdefault("retry_policy", _RETRY_POLICY)
