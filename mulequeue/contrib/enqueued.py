"""Record the ids of enqueued generations in the ledger, so that pages distinguish ``queued`` from ``unknown``.

Every process that imports this module records the ids of the generations that it enqueues.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from celery import signals
from redis.exceptions import RedisError

from mulequeue.engine.current_app import current_app
from mulequeue.engine.submit.park import epoch_of
from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.errors import ConfigurationError
from mulequeue.ledger import Ledger
from mulequeue.ledger.probe import probe_connection

_GENERATING = tuple(
    f"mulequeue.{name}" for name in ("generate", "generate_from", "generate_many", "adopt")
)
_TIMEOUT_SECONDS = 1.0
_PAUSE_SECONDS = 10.0
"""Seconds without a write after one that failed, and between two writes of the same ids (of one batch)."""


@signals.after_task_publish.connect
def note(headers: Any = None, body: Any = None, **_: Any) -> None:
    """Record the ids of the generations in a message that this process has sent."""
    names = set(_names(headers or {}, body))
    if not names:
        return
    try:
        ctx = worker_context(current_app())
    except ConfigurationError:
        return  # the app of this message is unknown here, or its settings are invalid
    notes: _Notes | None = ctx.state.get("enqueued")
    if notes is None:
        notes = ctx.state["enqueued"] = _Notes(ctx)
    notes.add(names)


def _names(headers: Mapping[str, Any], body: Any) -> Iterator[str]:
    """Yield the ids of the generations, or their batches, in a message and in the later steps of its chain."""
    if "task" in headers:
        _, kwargs, embedded = body
    else:  # task_protocol = 1
        headers, kwargs, embedded = {**headers, **body}, body["kwargs"], {}
    # A message with an epoch comes from the ledger, which has its record.
    if headers["task"] in _GENERATING and epoch_of(kwargs, headers) is None:
        yield kwargs.get("batch_id") or headers["id"]
    for step in embedded.get("chain") or ():
        task_id = step["options"].get("task_id")
        if step["task"] in _GENERATING and task_id:
            yield step["kwargs"].get("batch_id") or task_id


class _Notes:
    """Write ids to the ledger, with a short timeout, because a web request waits for the write."""

    def __init__(self, ctx: WorkerContext) -> None:
        self._ctx = ctx
        client = probe_connection(ctx.settings.redis_url, _TIMEOUT_SECONDS)
        self._ledger = Ledger(client, ctx.settings.fleet)
        self._latest: set[str] = set()
        self._pause_ends = 0.0

    def add(self, names: set[str]) -> None:
        """Write ids, unless the same ids were written or a write failed in the last ``_PAUSE_SECONDS``."""
        is_paused = time.monotonic() < self._pause_ends
        if is_paused and (names == self._latest or not self._latest):
            return
        self._pause_ends = time.monotonic() + _PAUSE_SECONDS
        try:
            self._ledger.enqueued.add(names, ttl_seconds=self._ctx.settings.record_ttl_seconds)
            self._latest = names
        except RedisError as exc:
            self._ctx.redis_availability.mark_down(exc)
            self._latest = set()
