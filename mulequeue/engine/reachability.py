"""Distinguish a fault of this host from an outage of the API.

A process that cannot connect sees the same in both cases. If another process of the fleet gets answers
under the same profile, the fault is its own: it leaves the work to the others and gives no verdicts.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from mulequeue.ledger import new_token

if TYPE_CHECKING:
    from mulequeue.engine.worker_context import WorkerContext

RECORD_SECONDS = 10.0
"""A process records its answers at most once in this time: a status check costs no round trip."""
RECENT_SECONDS = 30.0
"""An answer that another process got this long before the first error still counts."""


class Reachability:
    """The answers of a process and of the others, by profile; use its shared one, on the event loop."""

    def __init__(self, ctx: WorkerContext) -> None:
        self._ctx = ctx
        self._process = new_token()
        self._recorded_at: dict[str, float] = {}

    async def record_answer(self, profile: str) -> None:
        """Record that the API answered this process."""
        now = time.monotonic()
        if now - self._recorded_at.get(profile, -RECORD_SECONDS) < RECORD_SECONDS:
            return
        self._recorded_at[profile] = now
        with suppress(RedisError):  # callers that need the ledger log it
            await self._ctx.call(self._ctx.ledger.polling.record_answer, profile, self._process)

    async def is_reached_elsewhere(self, profile: str, since: float) -> bool:
        """Return whether the API answered another process lately.

        :param since: when the errors of this process began, on Redis' clock.
        """
        answered = await self._ctx.call(
            self._ctx.ledger.polling.answered_since, profile, since - RECENT_SECONDS
        )
        return any(process != self._process for process in answered)
