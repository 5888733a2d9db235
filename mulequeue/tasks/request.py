"""Messages as a worker's main process holds them; only workers load this.

Lines are made again here: whoever sends a task by its name has not loaded its class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.worker.request import Request
from celery.worker.strategy import default

from mulequeue.engine.display import format_args, format_kwargs, format_result, is_ours
from mulequeue.engine.submit.park import MARKER, Parked


class RedactedRequest(Request):  # type: ignore[misc]  # Celery publishes no types
    """A received message of a :class:`ReadableTask`, in the worker's main process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not is_ours(self.argsrepr):
            shown = format_args(self.type, self.args, self.kwargs)
            self._argsrepr, self._kwargsrepr = shown, format_kwargs(self.kwargs)
            # The pool's process takes them from here for its log.
            self._request_dict.update(argsrepr=shown, kwargsrepr=self._kwargsrepr)

    def info(self, safe: bool = False) -> dict[str, Any]:
        """What ``celery inspect`` and Flower's page of a worker show."""
        info: dict[str, Any] = super().info(safe=True)
        return info

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Celery's own; what parked is announced from here, where events leave many at a time."""
        exc = exc_info.exception
        exc = exc.exc if isinstance(exc, ExceptionWithTraceback) else exc
        if isinstance(exc, Parked):
            self.send_event("task-generating", model=exc.model)
        return super().on_failure(exc_info, *args, **kwargs)

    def send_event(self, type: str, **fields: Any) -> None:
        """An event of this task; a result is told as how it ended."""
        if isinstance(fields.get("result"), str):
            fields["result"] = format_result(fields["result"])
        super().send_event(type, **fields)


class _Unlimited:
    """A worker's consumer that has no rate limits."""

    disable_rate_limits = True

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)


def limit_submissions(task: Any, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """How a worker receives ``generate``: its rate limit counts a generation once.

    The message that wakes it again passes: an outcome that is paid waits for nobody, and what waits
    in a worker is sent again after a while, which would fill the limit with repetitions.
    """
    limited = default(task, app, consumer, **options)
    free = default(task, app, _Unlimited(consumer), **options)

    def receive(message: Any, *args: Any, **kwargs: Any) -> Any:
        return (free if MARKER in (message.headers or {}) else limited)(message, *args, **kwargs)

    return receive
