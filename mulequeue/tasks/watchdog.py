"""Every worker watches over the poll loop, and over tasks that are revoked while they are parked."""

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
"""One Redis command per look: half a command a second for an idle worker."""


def make_watchdog(app: Any) -> Callable[[], None] | None:
    """What the worker's main process calls every :data:`WATCH_SECONDS`: no beat, no extra process.

    It looks whether something is overdue that nobody looks at. None: this worker cannot.
    """
    try:
        ctx = worker_context(app)
    except ConfigurationError:
        logger.exception("mulequeue does not run on this worker")
        return None

    _warn_of_storage(ctx.settings)
    sync = RevocationSync(ctx)

    def look() -> None:
        try:
            message = ctx.ledger.polling.check_overdue()
            if message is not None:
                ctx.publish_poll_blocking(message)
            sync.sync_revocations()
        except RedisError as exc:
            ctx.redis_availability.mark_down(exc)
        except Exception as exc:
            logger.warning("the watchdog could not look: %r", exc)
        else:
            ctx.redis_availability.mark_up()

    return look


def _warn_of_storage(settings: Settings) -> None:
    """Said at start, before anything is paid that could not be stored."""
    try:
        check_template(settings.storage_path)
        check_storage(settings.storage, settings.storage_options)
    except ConfigurationError as exc:
        logger.warning("downloads will not work on this worker: %s", exc)


class RevocationSync:
    """Ends parked tasks that were revoked the Celery way.

    Revoked ids live in the workers' main processes only, and a worker throws away every message of
    such a task. One wake lets Celery write down REVOKED and fail what hangs on it.
    """

    def __init__(self, ctx: WorkerContext) -> None:
        self._ctx = ctx
        self._seen: set[str] = set(state.revoked)

    def sync_revocations(self) -> None:
        """Copy newly revoked ids into the ledger."""
        fresh = [task_id for task_id in state.revoked if task_id not in self._seen]
        self._seen.update(fresh)
        for task_id, record in zip(fresh, self._ctx.ledger.queries.records(fresh), strict=True):
            if record is None:  # a download or a notification, maybe
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
