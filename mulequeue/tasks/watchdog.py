"""The watchdog of every worker: it restarts a lost poll loop and ends revoked parked tasks."""

from __future__ import annotations

import logging
import threading
from itertools import islice
from typing import Any

from celery.worker import state
from redis.exceptions import RedisError

from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.errors import ConfigurationError
from mulequeue.ledger import Record

logger = logging.getLogger("mulequeue")

WATCH_SECONDS = 2.0
"""Seconds between two runs. Without newly revoked tasks a run is one Redis command."""
_MAX_REVOKED_PER_RUN = 500


def make_watchdog(app: Any) -> Watchdog | None:
    """Return the watchdog of this process, or None if this worker has no valid configuration or no fleet."""
    try:
        ctx = worker_context(app)
    except ConfigurationError:
        logger.exception(
            "mulequeue does not run on this worker; fix its configuration and restart it"
        )
        return None
    return Watchdog(ctx) if ctx.has_fleet else None


class Watchdog:
    """Sends a poll message if a record is overdue and no sweep runs, without beat and without a separate process.

    It runs in a thread of the worker's main process. If the ledger's Redis hangs, the main process keeps
    consuming messages and sending heartbeats.

    It also cancels parked tasks that were revoked through Celery. Only the main processes of workers hold
    revoked ids, and a worker discards every message of a revoked task. So the watchdog publishes one more
    message of the task: then Celery stores the state REVOKED and fails the chord of the task.
    """

    def __init__(self, ctx: WorkerContext) -> None:
        self._ctx = ctx
        self._stopped = threading.Event()
        self._seen: set[str] = set(state.revoked)
        """Revoked ids that were copied into the ledger, without those that Celery has forgotten."""

    def start(self) -> None:
        """Run every :data:`WATCH_SECONDS` until :meth:`stop`."""
        self._stopped = threading.Event()
        threading.Thread(
            target=self._run, args=(self._stopped,), name="mulequeue-watchdog", daemon=True
        ).start()

    def stop(self) -> None:
        """End the thread after its current run, without waiting for it."""
        self._stopped.set()

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(WATCH_SECONDS):
            self.watch()

    def watch(self) -> None:
        """Publish a poll message if a record is overdue, and end the tasks that were revoked."""
        try:
            self._ctx.publish_poll_blocking(self._ctx.ledger.polling.check_overdue())
            self.sync_revoked()
        except RedisError as exc:
            self._ctx.redis_availability.mark_down(exc)
        except Exception as exc:
            logger.warning("the watchdog failed: %r", exc)
        else:
            self._ctx.redis_availability.mark_up()

    def sync_revoked(self) -> None:
        """Cancel the tasks whose ids were newly revoked, at most 500 per call.

        :raises redis.exceptions.RedisError: the ledger does not answer; the next call handles the remaining ids.
        """
        revoked = set(state.revoked)
        self._seen &= revoked
        new = list(islice(revoked - self._seen, _MAX_REVOKED_PER_RUN))
        for task_id, record in zip(new, self._ctx.ledger.queries.records(new), strict=True):
            self._end(task_id, record)
            self._seen.add(task_id)

    def _end(self, task_id: str, record: Record | None) -> None:
        ledger, ttl = self._ctx.ledger, self._ctx.settings.record_ttl_seconds
        if record is None:  # possibly a download or a notification
            ledger.leases.revoke(task_id)
            return
        if record.state == "delivered":
            return
        _, effects = ledger.generations.cancel(task_id, ttl_seconds=ttl)
        # Workers discard every message of the task, so its delivery ends here. Its record is kept.
        if effects.wakes or record.state == "settled":
            self._ctx.carry_out_blocking(effects)
            ledger.generations.end_delivery(task_id, record.epoch, ttl_seconds=ttl)
