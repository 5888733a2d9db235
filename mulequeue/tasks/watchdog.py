"""The watchdog of every worker: it restarts a lost poll loop and ends revoked parked tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker import state
from redis.exceptions import RedisError

from mulequeue.engine.worker_context import WorkerContext, worker_context
from mulequeue.errors import ConfigurationError
from mulequeue.settings import Settings
from mulequeue.transfer.path_template import check_template
from mulequeue.transfer.storage import check_storage

logger = logging.getLogger("mulequeue")

WATCH_SECONDS = 2.0
"""Seconds between two runs. A run is one Redis command: half a command per second if idle."""


def make_watchdog(app: Any) -> Callable[[], None] | None:
    """Return a function that the worker's main process calls every :data:`WATCH_SECONDS`.

    It sends a poll message if a record is overdue and no sweep runs. Neither beat nor another process is
    needed. Return None if the configuration of this worker is invalid.
    """
    try:
        ctx = worker_context(app)
    except ConfigurationError:
        logger.exception(
            "mulequeue does not run on this worker; fix its configuration and restart it"
        )
        return None

    _warn_of_storage(ctx.settings)
    sync = RevocationSync(ctx)

    def watch() -> None:
        try:
            message = ctx.ledger.polling.check_overdue()
            if message is not None:
                ctx.publish_poll_blocking(message)
            sync.sync_revocations()
        except RedisError as exc:
            ctx.redis_availability.mark_down(exc)
        except Exception as exc:
            logger.warning("the watchdog failed: %r", exc)
        else:
            ctx.redis_availability.mark_up()

    return watch


def _warn_of_storage(settings: Settings) -> None:
    """Log an unusable storage at start, before anything is billed that could not be stored."""
    try:
        check_template(settings.storage_path)
        check_storage(settings.storage, settings.storage_options)
    except ConfigurationError as exc:
        logger.warning("downloads will not work on this worker: %s", exc)


class RevocationSync:
    """End parked tasks that were revoked through Celery.

    Only the main processes of workers hold revoked ids, and a worker discards every message of a revoked
    task. One wake lets Celery store the state REVOKED and fail the tasks that depend on it.
    """

    def __init__(self, ctx: WorkerContext) -> None:
        self._ctx = ctx
        self._seen: set[str] = set(state.revoked)

    def sync_revocations(self) -> None:
        """Copy newly revoked ids into the ledger."""
        new = [task_id for task_id in state.revoked if task_id not in self._seen]
        self._seen.update(new)
        for task_id, record in zip(new, self._ctx.ledger.queries.records(new), strict=True):
            if record is None:  # possibly a download or a notification
                self._ctx.ledger.leases.revoke(task_id)
            if record is None or record.state == "delivered":
                continue
            _, effects = self._ctx.ledger.generations.cancel(
                task_id, ttl_seconds=self._ctx.settings.record_ttl_seconds
            )
            if effects.wakes:
                self._ctx.carry_out_blocking(effects)
                self._ctx.ledger.generations.end_delivery(
                    task_id, record.epoch, ttl_seconds=self._ctx.settings.record_ttl_seconds
                )
