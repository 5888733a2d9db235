"""Pause a profile's status checks, fleet-wide, after errors in a row; resume them after a success."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from mulequeue.api.results import Fetched, Transient
from mulequeue.engine.worker_context import WorkerContext

logger = logging.getLogger("mulequeue")

FAILURE_THRESHOLD = 8
"""Errors in a row before a profile's checks pause."""
PAUSE_FIRST_SECONDS, PAUSE_CEILING_SECONDS = 2.0, 60.0


class CircuitBreaker:
    """The state of failing profiles in one process.

    :param now: Redis' clock.
    """

    def __init__(self, ctx: WorkerContext, now: Callable[[], float]) -> None:
        self._ctx, self._now = ctx, now
        self._errors_in_a_row: dict[str, int] = {}
        self._paused_until: dict[str, float] = {}
        self._reopening: set[str] = set()

    def half_open(self, reopening: Iterable[str]) -> None:
        """Let the next response decide whether the checks of these profiles resume."""
        self._reopening.update(reopening)

    def paused_until(self, profile: str) -> float | None:
        """Return the time until which the profile's checks are paused; None: they are not."""
        until = self._paused_until.get(profile)
        return until if until is not None and until > self._now() else None

    async def record(self, profile: str, found: Fetched) -> None:
        """Record the result of a status check."""
        if isinstance(found, Transient):
            await self._record_error(profile, found)
            return
        self._errors_in_a_row[profile] = 0
        if profile in self._reopening:
            self._reopening.discard(profile)
            await self._ctx.call(self._ctx.ledger.polling.recover, profile)

    async def _record_error(self, profile: str, found: Transient) -> None:
        count = self._errors_in_a_row[profile] = self._errors_in_a_row.get(profile, 0) + 1
        is_outage = (
            count >= FAILURE_THRESHOLD or found.status_code == 429 or profile in self._reopening
        )
        if not is_outage or self.paused_until(profile) is not None:
            return
        self._paused_until[profile] = self._now() + PAUSE_FIRST_SECONDS
        self._errors_in_a_row[profile] = 0
        self._paused_until[profile] = await self._ctx.call(
            self._ctx.ledger.polling.trip,
            profile,
            seconds=found.retry_after_seconds,
            first=PAUSE_FIRST_SECONDS,
            ceiling=PAUSE_CEILING_SECONDS,
        )
        extra = {"profile": profile, "reason": found.reason}
        logger.warning("status checks paused: %s", found.reason, extra=extra)
