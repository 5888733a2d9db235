"""Pass Sentry's trace through the messages of a generation, and report a parked task as a success."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mulequeue.errors import APIError, GenerationError, MuleQueueError


def is_loaded() -> bool:
    """Return whether this process has imported Sentry's SDK."""
    return "sentry_sdk" in sys.modules


@contextmanager
def continued(carrier: Mapping[str, Any]) -> Iterator[None]:
    """Run the block in the trace of these headers, or else in a new one.

    Otherwise a thread would keep the trace of the task that started it, also when it works for other tasks.
    """
    import sentry_sdk

    with sentry_sdk.isolation_scope() as isolated:
        current = sentry_sdk.get_current_scope()
        current.span = None
        for scope in (isolated, current):
            scope.continue_trace(dict(carrier))
        yield


def nested(headers: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return message headers with a copy of them under ``headers``, where Sentry reads them."""
    return {**headers, "headers": dict(headers)} if headers and is_loaded() else headers


def add_event_processor() -> None:
    """Have Sentry call :func:`process_event` in this process and its forked children, if the SDK is imported."""
    if is_loaded():
        from sentry_sdk.scope import add_global_event_processor, global_event_processors

        if process_event not in global_event_processors:
            add_global_event_processor(process_event)


def process_event(event: Any, hint: Mapping[str, Any]) -> Any:
    """Group mulequeue's errors by their reason, and count a parked task as a success."""
    if event.get("type") == "transaction":
        _mark_parked(event)
    _, error, _ = hint.get("exc_info") or (None, None, None)
    if isinstance(error, MuleQueueError):
        event.setdefault("fingerprint", fingerprint_of(error))
    return event


def fingerprint_of(error: MuleQueueError) -> list[str]:
    """Return the fingerprint by which Sentry groups an error: class and reason, not the text, which has ids."""
    reason: Any = None
    if isinstance(error, GenerationError):
        reason = (error.error or {}).get("code") or error.reason
    elif isinstance(error, APIError):
        reason = error.status_code
    return ["mulequeue", type(error).__name__, *([] if reason is None else [str(reason)])]


def _mark_parked(event: Any) -> None:
    """Set the status of a delivery that ended in ``Ignore`` to ``ok``: Sentry counts ``aborted`` as a failure."""
    trace = event.get("contexts", {}).get("trace", {})
    if (
        not str(event.get("transaction")).startswith("mulequeue.")
        or trace.get("status") != "aborted"
    ):
        return
    trace["status"] = "ok"
    for span in event.get("spans", ()):
        if span.get("op") == "queue.process":
            span["status"] = "ok"
