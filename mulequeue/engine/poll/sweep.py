"""Claim the due records, check them on one event loop, and write the results to the ledger."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from contextlib import suppress

from redis.exceptions import RedisError

from mulequeue.api.terminal_answer import reported_duration
from mulequeue.engine import tracing
from mulequeue.engine.poll.checker import Checker
from mulequeue.engine.poll.circuit_breaker import CircuitBreaker, left_to_others_seconds
from mulequeue.engine.poll.claim_queue import ClaimBatch, ClaimQueue
from mulequeue.engine.poll.decide import PollAgain, Terminal
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.ledger import MAX_CLAIMED, Claim, Due, Effects, PollMessage
from mulequeue.settings import Profile

logger = logging.getLogger("mulequeue")

SWEEP_SECONDS = 1.0
"""A sweep occupies its worker slot for about this long at most."""
LAST_CLAIM_SECONDS = 0.1
"""A sweep makes no claim within this time before its end, because too little time is left for the checks."""
GAP_SECONDS = 0.5
"""Least time from the start of one sweep to the next: records that become due meanwhile share one
Celery message. After a long sweep the next one starts a fifth of this time after its end, or at once if due
records are left."""
STALLED_AFTER_SECONDS = 1.0
"""A check that lasts this much longer than its sweep no longer counts towards the concurrency limit."""
SLICE = 250
"""Results are written to the ledger in slices of this size, so that a slow check delays no other."""
MIXED_SECONDS = 1.0
"""If some worker could not do the work of the wakes, they are published at a random time within this many seconds."""
CLAIM_AHEAD = 150
"""The next claim is made when at most this many claimed records wait for their check."""


class Poller:
    """The status checks of one process; use it on its event loop."""

    def __init__(self, ctx: WorkerContext) -> None:
        self._ctx = ctx
        self._ledger = ctx.ledger
        self._settings = ctx.settings
        self._profiles: dict[str, Profile] = {p.name: p for p in ctx.settings.known_profiles()}
        self._all_profiles = ctx.settings.all_profiles()  # a grant needs no key
        self._free = ctx.settings.poll_concurrency
        self._most_hanging = self._free // 4
        self._left: set[ClaimQueue] = set()
        self._hanging: set[str] = set()
        self._breaker = CircuitBreaker(ctx, self._now, ctx.settings.poll_timeout_seconds)
        self._checker = Checker(ctx, self._profiles, self._breaker, self._now)
        self._clock_offset = 0.0

    def _now(self) -> float:
        """Return the time of Redis' clock, estimated from the last claim."""
        return time.monotonic() + self._clock_offset

    # -- one sweep -----------------------------------------------------------------------------

    async def sweep(self, token: str) -> PollMessage | None:
        """Check what is due, for about a second; return the next poll message to publish.

        :param token: of the poll message. Nothing is done if it is not the valid one, or if another sweep runs.
        """
        call, ledger = self._ctx.call, self._ledger
        began = time.monotonic()
        if not await call(ledger.polling.begin_sweep, token):
            return None
        keeper = asyncio.create_task(self._keep_lease(token))
        try:
            self._checker.with_webhooks = await call(
                ledger.webhooks.working_profiles, self._profiles
            )
            is_behind = await self._check_due(began + SWEEP_SECONDS)
        finally:
            keeper.cancel()
        took = time.monotonic() - began
        # If due records are left, the next message is due at once, behind the tasks that wait for this worker slot.
        gap = 0.0 if is_behind else max(GAP_SECONDS - took, GAP_SECONDS / 5)
        names = [profile.name for profile in self._all_profiles]
        return await call(ledger.polling.end_sweep, token, gap_seconds=gap, profiles=names)

    async def _keep_lease(self, token: str) -> None:
        while True:
            await asyncio.sleep(1.5)
            with suppress(RedisError):  # the sweep logs it
                await self._ctx.call(self._ledger.polling.renew_sweep, token)

    async def _check_due(self, ends: float) -> bool:
        """Check until nothing is due, or until ``ends``; return whether more could be checked."""
        queue, workers = ClaimQueue(CLAIM_AHEAD), set[asyncio.Task[None]]()
        try:
            is_behind = await self._claim_into(queue, workers, ends)
        finally:
            queue.close()
        if workers:
            left = max(ends - time.monotonic(), 0.05)
            _, slow = await asyncio.wait(workers, timeout=left)
            for batch, due in queue.drain():  # not started in time: the next sweep checks them
                batch.release(due, self._now())
                self._breaker.forget(due)
            for batch in queue.batches:
                await self._write_back(batch)
            if slow:
                # A pool process that ends after its task (worker_max_tasks_per_child) waits for these checks too.
                self._ctx.start(self._finish(queue, slow))
        return is_behind and self._free > 0

    async def _claim_into(
        self, queue: ClaimQueue, workers: set[asyncio.Task[None]], ends: float
    ) -> bool:
        """Claim records while ``workers`` check them; return False if no more are due, True if the time is over."""
        while self._free + len(workers) > 0 and time.monotonic() < ends - LAST_CLAIM_SECONDS:
            claim = await self._claim()
            if claim.polls:
                queue.add(claim.token, claim.polls)
                hired = min(self._free, len(claim.polls))
                self._free -= hired
                workers.update(asyncio.create_task(self._work(queue)) for _ in range(hired))
            if claim.wakes:
                await self._publish(claim)
            elif claim.examined < MAX_CLAIMED:
                return False
            if not await queue.wait_until_low(ends - LAST_CLAIM_SECONDS - time.monotonic()):
                break
        return True

    async def _claim(self) -> Claim:
        claim = await self._ctx.call(
            self._ledger.polling.claim,
            self._all_profiles,
            checks=self._breaker.most_checks(),
            former_fingerprints=self._settings.former_fingerprints,
        )
        self._clock_offset = claim.now - time.monotonic()
        self._hanging = self._find_stalled()
        self._breaker.begin(claim)
        if claim.unknown_key and self._ctx.is_first("key", claim.unknown_key):
            self._warn_of_key(*claim.unknown_key.split(" ", 1))
        return claim

    async def _publish(self, claim: Claim) -> None:
        """Publish the wakes of a claim.

        A Redis broker gives a message to the worker that has waited longest, so this one, which has just received
        the poll message, would get none. If others may be unable to do the work, it is published at a random time.
        """
        effects = Effects(tuple(claim.wakes))
        if claim.is_mixed:
            self._ctx.start(self._publish_later(effects, MIXED_SECONDS * random.random()))
        else:
            await asyncio.wrap_future(self._ctx.carry_out(effects))

    async def _publish_later(self, effects: Effects, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await asyncio.wrap_future(self._ctx.carry_out(effects))

    def _warn_of_key(self, fingerprint: str, profile: str) -> None:
        """Log that this worker cannot check a due generation."""
        logger.warning(
            "a due generation of profile %s was submitted with an API key that this worker does not have; "
            "configure the profile with the key, or start a worker that has it; if the key was replaced, add its "
            "fingerprint %s to mulequeue_former_fingerprints",
            profile,
            fingerprint,
            extra={"fingerprint": fingerprint, "profile": profile},
        )

    # -- one status check ------------------------------------------------------------------------

    async def _work(self, queue: ClaimQueue) -> None:
        try:
            while (taken := await queue.get()) is not None:
                batch, due = taken
                await self._check(batch, due)
                if batch.remaining == 0 or len(batch.rescheduled) >= SLICE or batch.is_large:
                    await self._write_back(batch)
        except RedisError as exc:
            self._ctx.redis_availability.mark_down(exc)
        except Exception:
            # Claimed records that were not written back are due again when the claim lapses.
            logger.exception("a sweep failed unexpectedly")
        finally:
            if queue not in self._left:
                self._free += 1

    async def _check(self, batch: ClaimBatch, due: Due) -> None:
        released_until = self._breaker.released_until(due)
        if released_until is None and due.profile in self._hanging:
            released_until = self._now() + 10 * random.random()
        if released_until is not None:
            batch.release(due, released_until)
            return
        batch.in_progress[due.task_id] = due
        decision = await self._checker.check(due)
        del batch.in_progress[due.task_id]
        if decision is None:
            batch.release(due, self._now() + left_to_others_seconds())
        elif isinstance(decision, PollAgain):
            batch.repeat(due, decision)
        else:
            batch.end(due, decision)

    # -- results ---------------------------------------------------------------------------------

    async def _finish(self, queue: ClaimQueue, slow: set[asyncio.Task[None]]) -> None:
        """Continue slow checks without a worker slot, and renew their claims.

        After ``STALLED_AFTER_SECONDS`` they no longer count towards the concurrency limit.
        """
        while slow:
            _, slow = await asyncio.wait(slow, timeout=STALLED_AFTER_SECONDS)
            if slow and queue not in self._left:
                self._left.add(queue)
                self._free += len(slow)
            try:
                for batch in queue.batches:
                    if batch.in_progress:
                        ids = list(batch.in_progress)
                        await self._ctx.call(self._ledger.polling.renew, batch.token, ids)
                    await self._write_back(batch)
            except RedisError as exc:
                self._ctx.redis_availability.mark_down(exc)
        self._left.discard(queue)

    def _find_stalled(self) -> set[str]:
        """Return the profiles with so many hanging checks (a quarter of the limit) that no more are started."""
        batches = (batch for queue in self._left for batch in queue.batches)
        held = Counter(due.profile for batch in batches for due in batch.in_progress.values())
        return {profile for profile, count in held.items() if count >= self._most_hanging}

    async def _write_back(self, batch: ClaimBatch) -> None:
        again, batch.rescheduled = batch.rescheduled, []
        settled, batch.settled, batch.is_large = batch.settled, [], False
        if again:
            await self._ctx.call(self._ledger.polling.reschedule, batch.token, again)
        if settled:
            effects = await self._ctx.call(self._settle, batch.token, settled)
            await asyncio.wrap_future(self._ctx.carry_out(effects))

    def _settle(self, token: str, settled: list[tuple[str, Terminal]]) -> Effects:
        found = []
        for task_id, end in settled:
            effects = self._ledger.generations.settle(
                task_id,
                token,
                end.status,
                end.answer,
                duration_seconds=reported_duration(end.answer),
                polls=1,
            )
            if effects.wakes:
                with tracing.continued_wake(effects.wakes[0]):
                    extra = {"task_id": task_id, "status": end.status}
                    logger.info("generation finished", extra=extra)
            found.append(effects)
        return Effects.merge(found)


def sweep(ctx: WorkerContext, token: str) -> PollMessage | None:
    """Run one sweep on the process' event loop; return the next poll message, or None (also if Redis is down)."""
    try:
        with ctx.redis_availability.observed():
            return ctx.run(ctx.shared(Poller).sweep(token))
    except RedisError:
        # Claimed records are due again when the claims lapse; a watchdog starts the next sweep.
        return None
