"""Store the files of a batch's member in the delivery that returns its outcome.

This saves the message and the lease of a separate download. The download is published only if the files
cannot be stored at once, or after the first delivery (a worker may have been killed). It has more attempts,
and other workers can run it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mulequeue.engine.followups.attempts import Attempt
from mulequeue.engine.followups.background import Background, HostBusy
from mulequeue.engine.followups.download import asset_host, record_files, store_in
from mulequeue.ledger import Record
from mulequeue.outcome import File, Outcome
from mulequeue.transfer.control import TransferControl

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext

logger = logging.getLogger("mulequeue")
_DOWNLOAD = "mulequeue.download"


def wake_queue(task: Any, ctx: WorkerContext) -> str:
    """Return the queue of the message that wakes the running task.

    For a batch's member with a download it is the queue of the download, because a worker that consumes only
    the wake queue has no slots for transfers.
    """
    step = _download_of(task)
    if step is None:
        return ctx.settings.wake_queue
    options = {name: step["options"].get(name) for name in ("queue", "exchange", "routing_key")}
    given = {name: value for name, value in options.items() if value}
    queue = task.app.amqp.router.route(given, _DOWNLOAD, step["args"], step["kwargs"]).get("queue")
    return str(getattr(queue, "name", queue)) if queue else ctx.settings.wake_queue


def store_files(
    task: Any, ctx: WorkerContext, record: Record, outcome: Outcome
) -> tuple[File, ...] | None:
    """Store the files of a member, and keep Celery from publishing its download.

    :returns: None if the download has to store the files, or if there is none.
    :raises redis.exceptions.RedisError: the files are stored, but Redis does not answer.
    """
    step = _download_of(task)
    # Before a later delivery a worker may have been killed while it stored these files.
    is_first = record.deliveries == 1 and not record.returned
    queue = (task.request.delivery_info or {}).get("routing_key")
    if step is None or not (is_first and outcome.succeeded) or queue == ctx.settings.wake_queue:
        return None
    files = _store(ctx, outcome, step["kwargs"])
    if files is None:
        return None
    record_files(task, ctx, record.task_id, files)
    task.request.chain = task.request.chain[:-1]
    return files


def _store(
    ctx: WorkerContext, outcome: Outcome, options: Mapping[str, Any]
) -> tuple[File, ...] | None:
    """Make one attempt; return None if it fails, or if the host of the assets does not answer."""
    attempt, started = Attempt(number=1, control=TransferControl()), time.monotonic()
    store = store_in(options.get("storage"), options.get("path"))
    make = partial(store, outcome, ctx.settings, attempt)
    try:
        future = ctx.shared(Background).attempt(asset_host(outcome) or "", make, attempt.control)
    except HostBusy:
        return None
    if not future.done():
        attempt.control.cancel()
        return None
    try:
        files = future.result()
    except Exception as exc:
        extra = {"task_id": outcome.task_id}
        logger.info(
            "the files could not be stored at once; a download task stores them: %s",
            exc,
            extra=extra,
        )
        return None
    ctx.meter.count_stored(files, time.monotonic() - started)
    ctx.meter.count_attempt(_DOWNLOAD, "done")
    return files


def _download_of(task: Any) -> Mapping[str, Any] | None:
    """Return the signature of the download that ``generate_many`` chained to the running task, or None."""
    step: Mapping[str, Any] | None = (task.request.chain or [None])[-1]
    if step is None or step["task"] != _DOWNLOAD or not task.request.kwargs.get("batch_id"):
        return None
    options = step["options"]
    # A batch of 0.1.0 is a chord, which counts the downloads.
    is_awaited = not options.get("ignore_result") or options.get("chord") or options.get("link")
    is_member = options.get("task_id") == f"{task.request.id}-files"
    return step if is_member and not is_awaited else None
