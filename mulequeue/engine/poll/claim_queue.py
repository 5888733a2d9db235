"""The queue from which the asyncio tasks of a sweep take claimed records."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from mulequeue.engine.poll.decide import PollAgain, Terminal
from mulequeue.ledger import Due, Reschedule

LARGE_CHARACTERS = 100_000


@dataclass(slots=True, eq=False)
class ClaimBatch:
    """The records of one claim, and the results of their checks so far."""

    token: str
    remaining: int
    """Records that are not checked yet."""
    in_progress: dict[str, Due] = field(default_factory=dict)
    rescheduled: list[Reschedule] = field(default_factory=list)
    settled: list[tuple[str, Terminal]] = field(default_factory=list)
    is_large: bool = False
    """An outcome that is not written yet contains an inline asset, which occupies memory."""

    def repeat(self, due: Due, decision: PollAgain) -> None:
        """Record when to check a generation again that has not ended."""
        self.remaining -= 1
        row = (due.task_id, decision.due, 1, decision.errors)
        # Problems change rarely, so a problem is written only if it has changed.
        is_same = decision.problem == due.problem
        self.rescheduled.append(row if is_same else (*row, decision.problem))

    def end(self, due: Due, decision: Terminal) -> None:
        self.remaining -= 1
        self.settled.append((due.task_id, decision))
        urls = (asset["url"] for asset in decision.answer.get("assets", ()))
        self.is_large = self.is_large or sum(map(len, urls)) > LARGE_CHARACTERS

    def release(self, due: Due, at: float) -> None:
        """Release a record without a check; it is due again at ``at``."""
        self.remaining -= 1
        self.rescheduled.append((due.task_id, at, 0, due.errors))


class ClaimQueue:
    """The records of one sweep, in the order of their claims.

    :param low: more records are claimed when at most this many are waiting.
    """

    def __init__(self, low: int) -> None:
        self.batches: list[ClaimBatch] = []
        self._low = low
        self._waiting: deque[tuple[ClaimBatch, Due]] = deque()
        self._has_more, self._is_low = asyncio.Event(), asyncio.Event()
        self._is_low.set()
        self._is_closed = False

    def add(self, token: str, polls: list[Due]) -> None:
        batch = ClaimBatch(token, len(polls))
        self.batches.append(batch)
        self._waiting.extend((batch, due) for due in polls)
        if len(self._waiting) > self._low:
            self._is_low.clear()
        self._has_more.set()

    async def get(self) -> tuple[ClaimBatch, Due] | None:
        """Wait for the next record and return it; None if the queue is closed and empty."""
        while not self._waiting:
            if self._is_closed:
                return None
            self._is_low.set()
            self._has_more.clear()
            await self._has_more.wait()
        taken = self._waiting.popleft()
        if len(self._waiting) <= self._low:
            self._is_low.set()
        return taken

    async def wait_until_low(self, seconds: float) -> bool:
        """Wait until at most ``low`` records are waiting; return False if that takes longer than ``seconds``."""
        if not self._is_low.is_set() and seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_low.wait(), seconds)
        return self._is_low.is_set()

    def close(self) -> None:
        """Let ``get`` return None as soon as no records are waiting."""
        self._is_closed = True
        self._has_more.set()

    def drain(self) -> list[tuple[ClaimBatch, Due]]:
        """Remove and return the waiting records."""
        left = list(self._waiting)
        self._waiting.clear()
        return left
