"""Claim everything that is due, check it on one event loop, write back what came of it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError

from mulequeue import catalog, client
from mulequeue.client import NotFound, Transient
from mulequeue.ledger import MOST_CLAIMED, Due, Message, Sweep, Wake
from mulequeue.plan import MAX_WAIT_CEILING_SECONDS
from mulequeue.runtime import Runtime
from mulequeue.schedule import PollSchedule, backoff_seconds
from mulequeue.settings import Profile
from mulequeue.settling import answer_of, error_of
from mulequeue.wire import TaskReply, is_known_status

logger = logging.getLogger("mulequeue")

SWEEP_SECONDS = 1.0
"""A sweep holds its worker slot about this long at most."""
GAP_SECONDS = 0.5
"""From one sweep to the next: what becomes due meanwhile shares one Celery message."""
SLICE = 250
"""Write back after so many results, so that one slow check delays nobody."""
OUTAGE_AFTER = 8
"""Errors in a row before a profile's checks pause."""
OUTAGE_FIRST_SECONDS, OUTAGE_CEILING_SECONDS = 2.0, 60.0
ERROR_FIRST_SECONDS, ERROR_CEILING_SECONDS = 2.0, 60.0
BACKSTOP_FACTOR, BACKSTOP_CEILING_SECONDS = 6, 60.0
"""How much rarer status checks are while webhooks come, and how rare at most."""


@dataclass(frozen=True, slots=True)
class Again:
    """Look at it later."""

    due: float
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """It is over."""

    status: str
    answer: dict[str, Any]


def decide(
    due: Due,
    found: client.Fetched,
    *,
    now: float,
    chance: float,
    grace_seconds: float,
    has_webhooks: bool = False,
) -> Again | Settled:
    """What a status check means for a record. Pure.

    :param now: unix seconds. :param chance: a random number in [0, 1).
    :param grace_seconds: how long after submission a 404 means "not visible yet".
    :param has_webhooks: they come for its profile, so checks are only the backstop.
    """
    if isinstance(found, TaskReply):
        model = catalog.find(f"/vendors/{due.path}")
        if found.state != "active":
            answer = answer_of(
                found, kind=model.kind, retention_seconds=model.retention_seconds, now=now
            )
            return Settled(found.state, answer)
        if now >= due.deadline:
            return Settled("timed_out", {})
        schedule = model.schedule if due.interval is None else PollSchedule.fixed(due.interval)
        wait = schedule.seconds(due.polls + 1, chance)
        if has_webhooks:
            wait = max(wait, min(wait * BACKSTOP_FACTOR, BACKSTOP_CEILING_SECONDS))
        return Again(now + wait)
    if isinstance(found, NotFound) and found.gone and now - due.submitted > grace_seconds:
        return Settled("failed", {"error": error_of(found.error)})
    if now - due.started > MAX_WAIT_CEILING_SECONDS:
        return Settled("timed_out", {})
    wait = backoff_seconds(
        due.errors, first=ERROR_FIRST_SECONDS, ceiling=ERROR_CEILING_SECONDS, chance=chance
    )
    asked = found.retry_after_seconds if isinstance(found, Transient) else None
    return Again(now + max(wait, asked or 0.0), due.errors + 1)


@dataclass(slots=True)
class Round:
    """What one claim brought, and what came of it so far."""

    token: str
    waiting: Iterator[Due]
    under_way: dict[str, Due] = field(default_factory=dict)
    again: list[tuple[str, float, int, int]] = field(default_factory=list)
    settled: list[tuple[str, Settled]] = field(default_factory=list)


class Poller:
    """The status checks of one process; lives on its event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ledger = runtime.ledger
        self._settings = runtime.settings
        self._profiles: dict[str, Profile] = {p.name: p for p in runtime.settings.known_profiles()}
        self._free = runtime.settings.poll_concurrency
        self._errors_in_a_row: dict[str, int] = {}
        self._paused_until: dict[str, float] = {}
        self._reopening: set[str] = set()
        self._with_webhooks: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._clock_offset = 0.0
        self._warned_of = {""}

    async def sweep(self, token: str) -> Message | None:
        """Check what is due, for about a second; answers the next poll message.

        :param token: of the poll message; one that is no longer current does nothing.
        """
        call, ledger = self._runtime.call, self._ledger
        if not await call(ledger.begin_sweep, token):
            return None
        keeper = asyncio.create_task(self._keep_lease(token))
        try:
            self._with_webhooks = await call(ledger.with_webhooks, self._profiles)
            ends = asyncio.get_running_loop().time() + SWEEP_SECONDS
            await self._drain(ends)
        finally:
            keeper.cancel()
        # Behind, it goes on as soon as the tasks that wait for this slot have had their turn.
        is_behind = asyncio.get_running_loop().time() >= ends and self._free > 0
        return await call(ledger.end_sweep, token, gap_seconds=0.0 if is_behind else GAP_SECONDS)

    async def _keep_lease(self, token: str) -> None:
        while True:
            await asyncio.sleep(1.5)
            with suppress(RedisError):  # the sweep itself meets it, and says so
                await self._runtime.call(self._ledger.renew_sweep, token)

    async def _drain(self, ends: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < ends and self._free > 0:
            claim = await self._runtime.call(
                self._ledger.claim,
                self._profiles.values(),
                former_fingerprints=self._settings.former_fingerprints,
            )
            self._clock_offset = claim.now - loop.time()
            self._reopening.update(claim.reopening)
            self._warn_of_unknown(claim)
            if claim.wakes:
                await asyncio.wrap_future(self._runtime.wake(claim.wakes))
            if claim.polls:
                await self._check(claim, ends)
            if claim.looked_at < MOST_CLAIMED and not claim.wakes:
                return

    def _warn_of_unknown(self, claim: Sweep) -> None:
        if claim.unknown_fingerprint not in self._warned_of:
            self._warned_of.add(claim.unknown_fingerprint)
            logger.warning(
                "a generation is due that was submitted with another key; add its fingerprint to "
                "mulequeue_former_fingerprints if the key was replaced, or start a worker that "
                "has the key",
                extra={"fingerprint": claim.unknown_fingerprint},
            )

    async def _check(self, claim: Sweep, ends: float) -> None:
        """Check the claimed records until ``ends``; slow checks go on in the background."""
        work = Round(claim.token, iter(claim.polls))
        count = min(self._free, len(claim.polls))
        workers = {asyncio.create_task(self._work(work)) for _ in range(count)}
        self._free -= count
        left = max(ends - asyncio.get_running_loop().time(), 0.05)
        _, slow = await asyncio.wait(workers, timeout=left)
        # Not started in time: due at once, for the next sweep.
        work.again.extend((due.task_id, self._now(), 0, due.errors) for due in work.waiting)
        await self._write_back(work)
        if slow:
            task = asyncio.create_task(self._finish(work, slow))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _work(self, work: Round) -> None:
        try:
            for due in work.waiting:
                await self._check_one(work, due)
                if len(work.again) >= SLICE:
                    await self._write_back(work)
        except RedisError as exc:
            self._runtime.absence.noted(exc)
        except Exception:
            # What was claimed and not written back is due again when the claim lapses.
            logger.exception("a status check broke off")
        finally:
            self._free += 1

    async def _check_one(self, work: Round, due: Due) -> None:
        profile = self._profiles.get(due.profile)
        paused_until = self._paused_until.get(due.profile, 0.0)
        if profile is None or paused_until > self._now():
            later = max(paused_until, self._now()) + 10 * random.random()
            work.again.append((due.task_id, later, 0, due.errors))
            return
        work.under_way[due.task_id] = due
        found = await client.fetch(
            self._runtime.session(),
            profile,
            f"/vendors/{due.path}",
            due.remote_id,
            timeout_seconds=self._settings.poll_timeout_seconds,
        )
        self._runtime.meter.checked(due.profile, found)
        await self._note_health(due.profile, found)
        self._note_unknown_word(due, found)
        decision = decide(
            due,
            found,
            now=self._now(),
            chance=random.random(),
            grace_seconds=self._settings.not_found_grace_seconds,
            has_webhooks=due.profile in self._with_webhooks,
        )
        work.under_way.pop(due.task_id, None)
        if isinstance(decision, Again):
            work.again.append((due.task_id, decision.due, 1, decision.errors))
        else:
            work.settled.append((due.task_id, decision))
            if due.profile in self._with_webhooks and isinstance(found, TaskReply):
                # No webhook told of it in time: back to the cadence, until the next one comes.
                self._with_webhooks.discard(due.profile)
                await self._runtime.call(self._ledger.webhooks_missed, due.profile)

    def _note_unknown_word(self, due: Due, found: client.Fetched) -> None:
        if isinstance(found, TaskReply) and not is_known_status(found.status) and due.polls == 0:
            logger.warning(
                "the API answered a status word that is not known; it counts as still active",
                extra={"status": found.status, "remote_id": due.remote_id},
            )

    async def _note_health(self, profile: str, found: client.Fetched) -> None:
        """Errors in a row pause a profile's checks for the whole fleet; a success opens them."""
        if not isinstance(found, Transient):
            self._errors_in_a_row[profile] = 0
            if profile in self._reopening:
                self._reopening.discard(profile)
                await self._runtime.call(self._ledger.recover, profile)
            return
        count = self._errors_in_a_row[profile] = self._errors_in_a_row.get(profile, 0) + 1
        is_outage = count >= OUTAGE_AFTER or found.status_code == 429 or profile in self._reopening
        if is_outage and self._paused_until.get(profile, 0.0) <= self._now():
            self._paused_until[profile] = self._now() + OUTAGE_FIRST_SECONDS
            self._errors_in_a_row[profile] = 0
            self._paused_until[profile] = await self._runtime.call(
                self._ledger.trip,
                profile,
                seconds=found.retry_after_seconds,
                first=OUTAGE_FIRST_SECONDS,
                ceiling=OUTAGE_CEILING_SECONDS,
            )
            extra = {"profile": profile, "reason": found.reason}
            logger.warning("status checks pause: %s", found.reason, extra=extra)

    async def _finish(self, work: Round, slow: set[asyncio.Task[None]]) -> None:
        """Wait for slow checks, keeping their claims."""
        while slow:
            _, slow = await asyncio.wait(slow, timeout=2.0)
            try:
                await self._runtime.call(self._ledger.renew, work.token, list(work.under_way))
                await self._write_back(work)
            except RedisError as exc:
                self._runtime.absence.noted(exc)

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
            wake = self._ledger.settle(task_id, token, end.status, end.answer, polls=1)
            if wake is not None:
                logger.info("generation finished", extra={"task_id": task_id, "status": end.status})
            wakes.append(wake)
        return wakes

    def _now(self) -> float:
        """Redis' clock, as the last claim told it."""
        return asyncio.get_running_loop().time() + self._clock_offset


def sweep(runtime: Runtime, token: str) -> Message | None:
    """One sweep on the process' event loop."""
    poller: Poller = runtime.state.setdefault("poller", None) or Poller(runtime)
    runtime.state["poller"] = poller
    try:
        message = runtime.run(poller.sweep(token))
    except RedisError as exc:
        # What was claimed is due again when the claims lapse; a watchdog starts the next sweep.
        runtime.absence.noted(exc)
        return None
    runtime.absence.over()
    return message
