"""Keep a generation in one trace, if the process uses OpenTelemetry or Sentry.

A worker publishes a wake outside of any task, so instrumentation of Celery would start a new trace there.
The ledger keeps the headers of the parked message, and the wake is published in the trace that they name.

A library is used only if the application has imported it. Its errors never keep a message from being published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mulequeue.engine.tracing import opentelemetry, sentry

if TYPE_CHECKING:
    from mulequeue.ledger import Wake


@contextmanager
def continued(headers: Mapping[str, Any] | None) -> Iterator[None]:
    """Run the block in the trace that message headers (or headers nested in them) name, or else in a new one."""
    nested = (headers or {}).get("headers")
    carrier = {**(nested if isinstance(nested, Mapping) else {}), **(headers or {})}
    with ExitStack() as stack:
        for library in (opentelemetry, sentry):
            if library.is_loaded():
                with suppress(Exception):
                    stack.enter_context(library.continued(carrier))
        yield


def continued_wake(wake: Wake) -> AbstractContextManager[None]:
    """Run the block in the trace of the task that a wake re-enqueues."""
    from mulequeue.ledger import unpack

    is_traced = opentelemetry.is_loaded() or sentry.is_loaded()
    return continued(unpack(wake.signature)["options"].get("headers") if is_traced else None)
