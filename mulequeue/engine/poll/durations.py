"""Cache poll plans per process, fitted to the durations in the ledger.

No caller waits. A plan that is missing or older than 30 s is read in the background; until then the old
plan applies, or the model's own schedule.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from mulequeue import catalog
from mulequeue.engine.poll.poll_plan import PollPlan, fit
from mulequeue.engine.worker_context import WorkerContext

if TYPE_CHECKING:
    from mulequeue.engine.generation_request import GenerationRequest

REFRESH_SECONDS = 30.0


class DurationCache:
    """The poll plans of one process; use its shared one, on its event loop."""

    def __init__(self, ctx: WorkerContext) -> None:
        self._ctx = ctx
        self._loop = asyncio.get_running_loop()
        self._plans: dict[str, PollPlan | None] = {}
        self._refresh_at: dict[str, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    def plan(self, path: str) -> PollPlan | None:
        """Return the poll plan of an api_path (without ``/vendors/``).

        :returns: None while too few durations are known, or if ``mulequeue_learn_cadence`` is off.
        """
        if self._loop.time() >= self._refresh_at.get(path, 0.0):
            self._refresh(path)
        return self._plans.get(path)

    def _refresh(self, path: str) -> None:
        self._refresh_at[path] = self._loop.time() + REFRESH_SECONDS
        if self._ctx.settings.learn_cadence:
            task = asyncio.create_task(self._read(path))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _read(self, path: str) -> None:
        with suppress(RedisError):  # callers that need the ledger log it
            self._plans[path] = await self._ctx.call(self._fit, path)

    def _fit(self, path: str) -> PollPlan | None:
        """Read and fit, in the ledger's thread."""
        model = catalog.find(f"/vendors/{path}")
        return fit(self._ctx.ledger.queries.durations(path), model.schedule)


def first_wait(ctx: WorkerContext, plan: GenerationRequest, chance: float) -> float:
    """Return the seconds from a generation's submission to its first check; call it on the loop.

    :param chance: a random number in [0, 1).
    """
    own = plan.schedule.seconds(0, chance)
    poll_plan = None if plan.interval is not None else ctx.shared(DurationCache).plan(plan.path)
    wait = None if poll_plan is None else poll_plan.seconds(0.0, chance)
    # A check enforces the deadline, so the first one is not later than the deadline.
    return own if wait is None else min(wait, max(own, plan.max_wait_seconds))
