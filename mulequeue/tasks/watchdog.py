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
"""Seconds between two runs. A run is one Redis command: half a command per second if idle."""
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
    """Sends a poll message if a record is overdue and no sweep runs. It needs neither beat nor a process.

    It runs in a thread of the worker's main process. If the ledger's Redis hangs, the main process keeps
    consuming messages and sending heartbeats.

    It also ends parked tasks that were revoked through Celery. Only the main processes of workers hold
    revoked ids, and a worker discards every message of a revoked task. One wake lets Celery store the state
    REVOKED and fail the tasks that depend on it.
    """

    def __init__(self, ctx: WorkerContext) -> None:
        self._ctx = ctx
        self._stopped = threading.Event()
        self._seen: set[str] = set(state.revoked)
        """Revoked ids that the ledger has; at most those that Celery remembers."""

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
        """Copy newly revoked ids into the ledger.

        :raises redis.exceptions.RedisError: the remaining ids are copied by the next call.
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
        # An outcome that workers discard is not delivered again and again; its record is kept.
        if effects.wakes or record.state == "settled":
            self._ctx.carry_out_blocking(effects)
            ledger.generations.end_delivery(task_id, record.epoch, ttl_seconds=ttl)
