"""The signature that a task leaves behind when it parks: itself, to be sent again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from celery.exceptions import Ignore

from mulequeue.engine.display import format_args

MARKER = "mulequeue_epoch"

# What follows a generation is worth waiting for the broker: Celery's default gives up after 0.6 s.
_RETRY_POLICY = {"max_retries": 60, "interval_start": 0.2, "interval_step": 0.2, "interval_max": 2}


class Parked(Ignore):  # type: ignore[misc]  # Celery publishes no types
    """This delivery ends here: its generation was submitted and is waited for.

    :param model: its name; it reaches the worker's main process, which tells it to Flower.
    """

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


def marker_of(request: Any) -> str:
    """The epoch that a wake wrote into this message, or empty for a message from the user."""
    return str((request.headers or {}).get(MARKER) or "")


def is_new(request: Any) -> bool:
    """Whether the message comes from the user: what a wake sends was checked when it was new."""
    return not marker_of(request)


def parked_signature(
    task: Any, *, queue: str | None, epoch: str, args: Sequence[Any] | None = None
) -> dict[str, Any]:
    """The message of the running task as a signature: same id, chain, chord, links and stamps.

    :param queue: where a wake publishes it; None: where this message came from. (The exchange and
        routing key it came by would win over a queue that is set later.)
    :param epoch: marks every message made of it.
    :param args: other positional arguments; the input is dropped once it was sent.
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
        # The prompt goes with the input; what Flower shows of the task stays as it was.
        options["argsrepr"] = shown
    chain = options.get("chain") or []
    for follower in [*chain[-1:], *(options.get("link") or []), options.get("chord")]:
        _set_retry_policy(follower)
    return dict(signature)


def _set_retry_policy(signature: Any) -> None:
    if isinstance(signature, Mapping) and not signature.get("subtask_type"):
        signature["options"].setdefault("retry_policy", _RETRY_POLICY)
