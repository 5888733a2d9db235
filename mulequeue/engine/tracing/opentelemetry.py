"""Pass OpenTelemetry's context through the messages of a generation, and emit a span for its wait."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mulequeue.ledger import Record

_MAX_TRACEPARENT = 64
"""Longest ``Traceparent`` of the API that is kept, in characters; the standard has 55."""


def is_loaded() -> bool:
    """Return whether this process has imported OpenTelemetry."""
    return "opentelemetry.trace" in sys.modules


def current_traceparent() -> str:
    """Return the context of the running task as a W3C ``traceparent``, or an empty text."""
    if not is_loaded():
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def api_traceparent(text: str | None) -> str:
    return (text or "")[:_MAX_TRACEPARENT] if is_loaded() else ""


def with_context(headers: Mapping[str, Any] | None, request: Any) -> Mapping[str, Any] | None:
    """Return message headers with the trace context of the running task, or else that of its message.

    :param headers: of the message; the inner ones, if a library nests headers.
    :param request: of the running task; its attributes are the outer headers.
    """
    if not is_loaded():
        return headers
    from opentelemetry import propagate

    fields = propagate.get_global_textmap().fields
    carrier = {name: value for name in fields if isinstance(value := request.get(name), str)}
    with suppress(Exception):
        propagate.inject(carrier)
    return {**(headers or {}), **carrier} or None


@contextmanager
def continued(carrier: Mapping[str, Any]) -> Iterator[None]:
    """Run the block in the context of these headers."""
    from opentelemetry import context, propagate

    token = context.attach(propagate.extract(carrier, context.Context()))
    try:
        yield
    finally:
        context.detach(token)


def record_generation(record: Record) -> None:
    """Emit the span of a generation, from its acceptance to its outcome.

    The parent is the delivery that submitted the generation. If that delivery is in another trace, because
    the instrumentation links deliveries, the span only links to it.
    """
    if is_loaded() and record.started is not None and record.finished is not None:
        with suppress(Exception):
            _emit_span(record, record.started, record.finished)


def _emit_span(record: Record, started: float, finished: float) -> None:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({"traceparent": record.trace}, Context())
    submitter = trace.get_current_span(context).get_span_context()
    current = trace.get_current_span().get_span_context()
    is_linked = submitter.is_valid and submitter.trace_id != current.trace_id
    span = trace.get_tracer("mulequeue").start_span(
        f"generation {record.model or record.api_path}",
        context=context if submitter.is_valid and not is_linked else None,
        links=[trace.Link(submitter)] if is_linked else None,
        start_time=int(started * 1e9),
        attributes=_attributes(record),
    )
    if record.status != "succeeded":
        span.set_status(trace.StatusCode.ERROR, record.status)
    span.end(end_time=int(finished * 1e9))


def _attributes(record: Record) -> dict[str, str | int]:
    values = {
        "task_id": record.task_id,
        "remote_id": record.remote_id,
        "profile": record.profile,
        "batch_id": record.batch,
        "status": record.status,
        "polls": record.polls,
        "attempts": record.requeues + 1,
        "api_traceparent": record.api_trace,
    }
    return {f"mulequeue.{name}": value for name, value in values.items() if value not in (None, "")}
