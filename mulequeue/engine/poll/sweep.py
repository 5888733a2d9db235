"""Claim everything that is due, check it on one event loop, write back what came of it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from contextlib import suppress

from redis.exceptions import RedisError

from mulequeue.api.parsing import TaskReply, is_known_status
from mulequeue.api.results import Fetched
from mulequeue.api.terminal_answer import life_told
from mulequeue.engine.poll.circuit_breaker import Outages
from mulequeue.engine.poll.claim_queue import Feed, Round
from mulequeue.engine.poll.decide import Again, Settled, decide
from mulequeue.engine.poll.durations import Lives
from mulequeue.engine.worker_context import Runtime
from mulequeue.ledger import MOST_CLAIMED, Due, Message, Sweep, Wake
from mulequeue.ledger.poll_message import is_helper
from mulequeue.settings import Profile

logger = logging.getLogger("mulequeue")

SWEEP_SECONDS = 1.0
"""A sweep holds its worker slot about this long at most."""
LAST_CLAIM_SECONDS = 0.1
"""So long before its end a sweep claims nothing more, because it could not check it in time."""
GAP_SECONDS = 0.5
"""From the start of one sweep to the next: what becomes due meanwhile shares one Celery message.
After a long one a fifth of it: a poller that is busy could not make up for more."""
HANGS_AFTER_SECONDS = 1.0
"""A check that outlasts its sweep by so long gives its slot to another one."""
SLICE = 250
"""Write back after so many results, so that one slow check delays nobody."""
CLAIM_AHEAD = 150
"""So few waiting: the next claim is made while these are checked."""


class Poller:
    """The status checks of one process; lives on its event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._ledger = runtime.ledger
        self._settings = runtime.settings
        self._profiles: dict[str, Profile] = {p.name: p for p in runtime.settings.known_profiles()}
        self._free = runtime.settings.poll_concurrency
        self._most_hanging = self._free // 4
        self._left: set[Feed] = set()
        self._hanging: set[str] = set()
        self._outages = Outages(runtime, self._now)
        self._with_webhooks: set[str] = set()
        self._lives = Lives.of(runtime)
        self._background: set[asyncio.Task[None]] = set()
        self._clock_offset = 0.0
        self._warned_of = {""}

    def _now(self) -> float:
        """Redis' clock, as the last claim told it."""
        return self._loop.time() + self._clock_offset

    # -- one sweep -----------------------------------------------------------------------------

    async def sweep(self, token: str) -> list[Message]:
        """Check what is due, for about a second; answers the poll messages to publish.

        :param token: of the poll message; one that is no longer current does nothing.
        """
        call, ledger = self._runtime.call, self._ledger
        if is_helper(token):
            return await self._help(token)
        began = self._loop.time()
        if not await call(ledger.begin_sweep, token):
            return []
        keeper = asyncio.create_task(self._keep_lease(token))
        try:
            self._with_webhooks = await call(ledger.with_webhooks, self._profiles)
            is_behind = await self._check_what_is_due(began + SWEEP_SECONDS)
        finally:
            keeper.cancel()
        took = self._loop.time() - began
        # Behind, it goes on as soon as the tasks that wait for this slot have had their turn.
        gap = 0.0 if is_behind else max(GAP_SECONDS - took, GAP_SECONDS / 5)
        following = await call(ledger.end_sweep, token, gap_seconds=gap, profiles=self._profiles)
        helper = await call(ledger.call_helper, following) if following and is_behind else None
        return [message for message in (following, helper) if message is not None]

    async def _help(self, token: str) -> list[Message]:
        """The same beside the sweep that holds the lease, which has found that it is behind."""
        if not await self._runtime.call(self._ledger.join_helpers, token):
            return []
        is_behind = await self._check_what_is_due(self._loop.time() + SWEEP_SECONDS)
        again = await self._runtime.call(self._ledger.leave_helpers, token, is_behind=is_behind)
        return [again] if again is not None else []

    async def _keep_lease(self, token: str) -> None:
        while True:
            await asyncio.sleep(1.5)
            with suppress(RedisError):  # the sweep itself meets it, and says so
                await self._runtime.call(self._ledger.renew_sweep, token)

    async def _check_what_is_due(self, ends: float) -> bool:
        """Until nothing is due any more, or until ``ends``. Answers whether something is left."""
        feed, workers = Feed(CLAIM_AHEAD), set[asyncio.Task[None]]()
        try:
            is_behind = await self._claim_into(feed, workers, ends)
        finally:
            feed.no_more()
        if workers:
            left = max(ends - self._loop.time(), 0.05)
            _, slow = await asyncio.wait(workers, timeout=left)
            for work, due in feed.take_back():  # not started in time: for the next sweep
                work.put_back(due, self._now())
            for work in feed.rounds:
                await self._write_back(work)
            if slow:
                self._finish_later(feed, slow)
        return is_behind and self._free > 0

    async def _claim_into(self, feed: Feed, workers: set[asyncio.Task[None]], ends: float) -> bool:
        """Claim ahead of the workers. Answers whether there was more than time."""
        while self._free + len(workers) > 0 and self._loop.time() < ends - LAST_CLAIM_SECONDS:
            claim = await self._claim()
            if claim.polls:
                feed.add(claim.token, claim.polls)
                hired = min(self._free, len(claim.polls))
                self._free -= hired
                workers.update(asyncio.create_task(self._work(feed)) for _ in range(hired))
            if claim.wakes:
                await asyncio.wrap_future(self._runtime.wake(claim.wakes))
            elif claim.looked_at < MOST_CLAIMED:
                return False
            if not await feed.runs_low(ends - LAST_CLAIM_SECONDS - self._loop.time()):
                break
        return True

    async def _claim(self) -> Sweep:
        claim = await self._runtime.call(
            self._ledger.claim,
            self._profiles.values(),
            former_fingerprints=self._settings.former_fingerprints,
        )
        self._clock_offset = claim.now - self._loop.time()
        self._hanging = self._find_hanging()
        self._outages.expect(claim.reopening)
        if claim.unknown_fingerprint not in self._warned_of:
            self._warned_of.add(claim.unknown_fingerprint)
            logger.warning(
                "a generation is due that was submitted with another key; add its fingerprint to "
                "mulequeue_former_fingerprints if the key was replaced, or start a worker that "
                "has the key",
                extra={"fingerprint": claim.unknown_fingerprint},
            )
        return claim

    # -- one status check ------------------------------------------------------------------------

    async def _work(self, feed: Feed) -> None:
        try:
            while (taken := await feed.take()) is not None:
                work, due = taken
                await self._check(work, due)
                if work.left == 0 or len(work.again) >= SLICE:
                    await self._write_back(work)
        except RedisError as exc:
            self._runtime.absence.noted(exc)
        except Exception:
            # What was claimed and not written back is due again when the claim lapses.
            logger.exception("a status check broke off")
        finally:
            if feed not in self._left:
                self._free += 1

    async def _check(self, work: Round, due: Due) -> None:
        profile = self._profiles.get(due.profile)
        paused_until = self._outages.paused_until(due.profile)
        if profile is None or paused_until is not None or due.profile in self._hanging:
            work.put_back(due, (paused_until or self._now()) + 10 * random.random())
            return
        work.under_way[due.task_id] = due
        found = await self._runtime.checks().fetch(
            profile,
            f"/vendors/{due.path}",
            due.remote_id,
            timeout_seconds=self._settings.poll_timeout_seconds,
        )
        self._runtime.meter.checked(due.profile, found)
        await self._outages.note(due.profile, found)
        decision = decide(
            due,
            found,
            now=self._now(),
            chance=random.random(),
            grace_seconds=self._settings.not_found_grace_seconds,
            has_webhooks=due.profile in self._with_webhooks,
            cadence=self._lives.cadence(due.path),
        )
        del work.under_way[due.task_id]
        work.left -= 1
        if isinstance(decision, Again):
            work.again.append((due.task_id, decision.due, 1, decision.errors))
            if due.polls == 0:
                _warn_of_unknown_word(due, found)
        else:
            work.settled.append((due.task_id, decision))
            await self._note_missing_webhook(due.profile, found)

    async def _note_missing_webhook(self, profile: str, found: Fetched) -> None:
        """No webhook told of an end in time: back to the cadence, until the next one comes."""
        if profile in self._with_webhooks and isinstance(found, TaskReply):
            self._with_webhooks.discard(profile)
            await self._runtime.call(self._ledger.webhooks_missed, profile)

    # -- what came of it -------------------------------------------------------------------------

    def _finish_later(self, feed: Feed, slow: set[asyncio.Task[None]]) -> None:
        """Slow checks go on while the worker slot is free again."""
        task = asyncio.create_task(self._finish(feed, slow))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _finish(self, feed: Feed, slow: set[asyncio.Task[None]]) -> None:
        """Wait for slow checks, keeping their claims. Those that hang give their slots to others."""
        while slow:
            _, slow = await asyncio.wait(slow, timeout=HANGS_AFTER_SECONDS)
            if slow and feed not in self._left:
                self._left.add(feed)
                self._free += len(slow)
            try:
                for work in feed.rounds:
                    if work.under_way:
                        ids = list(work.under_way)
                        await self._runtime.call(self._ledger.renew, work.token, ids)
                    await self._write_back(work)
            except RedisError as exc:
                self._runtime.absence.noted(exc)
        self._left.discard(feed)

    def _find_hanging(self) -> set[str]:
        """Profiles whose host does not answer: no more of their checks are begun meanwhile."""
        rounds = (work for feed in self._left for work in feed.rounds)
        held = Counter(due.profile for work in rounds for due in work.under_way.values())
        return {profile for profile, count in held.items() if count >= self._most_hanging}

    async def _write_back(self, work: Round) -> None:
        again, work.again = work.again, []
        settled, work.settled = work.settled, []
        if again:
            await self._runtime.call(self._ledger.reschedule, work.token, again)
        if settled:
            wakes = await self._runtime.call(self._settle, work.token, settled)
            await asyncio.wrap_future(self._runtime.wake(wakes))

    def _settle(self, token: str, settled: list[tuple[str, Settled]]) -> list[Wake | None]:
        wakes = []
        for task_id, end in settled:
            wake = self._ledger.settle(
                task_id,
                token,
                end.status,
                end.answer,
                duration_seconds=life_told(end.answer),
                polls=1,
            )
            if wake is not None:
                logger.info("generation finished", extra={"task_id": task_id, "status": end.status})
            wakes.append(wake)
        return wakes


def _warn_of_unknown_word(due: Due, found: Fetched) -> None:
    if isinstance(found, TaskReply) and not is_known_status(found.status):
        logger.warning(
            "the API answered a status word that is not known; it counts as still active",
            extra={"status": found.status, "remote_id": due.remote_id},
        )


async def _sweep(runtime: Runtime, token: str) -> list[Message]:
    poller: Poller | None = runtime.state.get("poller")
    if poller is None:
        poller = runtime.state["poller"] = Poller(runtime)
    return await poller.sweep(token)


def sweep(runtime: Runtime, token: str) -> list[Message]:
    """One sweep on the process' event loop; the poll messages to publish."""
    try:
        messages = runtime.run(_sweep(runtime, token))
    except RedisError as exc:
        # What was claimed is due again when the claims lapse; a watchdog starts the next sweep.
        runtime.absence.noted(exc)
        return []
    runtime.absence.over()
    return messages
