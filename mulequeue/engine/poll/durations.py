"""What one process knows of how long generations live: read from the ledger now and then.

Nothing waits for it. What is asked for the first time, or is half a minute old, is read in the
background, and until then the former cadence stands, or the model's own.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from redis.exceptions import RedisError

from mulequeue import catalog
from mulequeue.engine.generation_request import Plan
from mulequeue.engine.poll.poll_plan import Cadence, learned
from mulequeue.engine.worker_context import Runtime

READ_AGAIN_SECONDS = 30.0


class Lives:
    """To be used on one process' event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._cadences: dict[str, Cadence | None] = {}
        self._read_again: dict[str, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, runtime: Runtime) -> Lives:
        """The one of this process; call it on the loop."""
        found: Lives | None = runtime.state.get("lives")
        if found is None:
            found = runtime.state["lives"] = cls(runtime)
        return found

    def cadence(self, path: str) -> Cadence | None:
        """The cadence of an api_path (without ``/vendors/``).

        :returns: None while too little is known, or where ``mulequeue_learn_cadence`` is off.
        """
        if self._loop.time() >= self._read_again.get(path, 0.0):
            self._look_up(path)
        return self._cadences.get(path)

    def _look_up(self, path: str) -> None:
        self._read_again[path] = self._loop.time() + READ_AGAIN_SECONDS
        if self._runtime.settings.learn_cadence:
            task = asyncio.create_task(self._read(path))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _read(self, path: str) -> None:
        with suppress(RedisError):  # who needs the ledger meets it, and says so
            self._cadences[path] = await self._runtime.call(self._learned, path)

    def _learned(self, path: str) -> Cadence | None:
        """In the ledger's thread: a plan is a millisecond's work."""
        model = catalog.find(f"/vendors/{path}")
        return learned(self._runtime.ledger.lives(path), model.schedule)


def first_wait(runtime: Runtime, plan: Plan, chance: float) -> float:
    """Seconds from a generation's submission to its first check; call it on the loop.

    :param chance: a random number in [0, 1).
    """
    own = plan.schedule.seconds(0, chance)
    cadence = None if plan.interval is not None else Lives.of(runtime).cadence(plan.path)
    wait = None if cadence is None else cadence.seconds(0.0, chance)
    # Its deadline is looked at by a check: one that may wait less is not looked at later.
    return own if wait is None else min(wait, max(own, plan.max_wait_seconds))
