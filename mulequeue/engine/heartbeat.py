"""Renew a lease while a worker works under it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from mulequeue.net.timers import Timers

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext

logger = logging.getLogger("mulequeue")

HEARTBEAT_SECONDS = 6.0
DISPATCH_SECONDS = 600.0
"""Longest time that Celery may take to publish what follows a task; the publish retries take two minutes."""
ATTEMPT_SECONDS = 6 * 3600.0
"""Longest time of an attempt: the time limit of the tasks."""
# Apart from the deadlines, which a Redis that does not answer would delay.
_leases = Timers("mulequeue-leases")


class Heartbeat:
    """Renews a lease every few seconds, until it is stopped or its time has passed.

    :param renew: renews the lease in the ledger.
    :param most_seconds: for a process that never stops it.
    """

    def __init__(
        self,
        ctx: WorkerContext,
        renew: Callable[[], object],
        *,
        most_seconds: float,
        seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._ctx, self._renew = ctx, renew
        self.limit(most_seconds)
        self._timer = _leases.every(seconds, self._beat)

    def limit(self, most_seconds: float) -> None:
        """Set how long it continues from now."""
        self._ends = time.monotonic() + most_seconds

    def stop(self) -> None:
        _leases.cancel(self._timer)

    def _beat(self) -> None:
        if time.monotonic() > self._ends:
            self.stop()
            return
        try:
            self._renew()
        except RedisError as exc:
            self._ctx.redis_availability.mark_down(exc)
        except Exception as exc:
            logger.warning("a lease was not renewed: %r", exc)
