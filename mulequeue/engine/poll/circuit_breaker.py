"""Pause the status checks of a profile when they fail: in the whole fleet, or in one process.

==========================================  ========================================================
no generation gets an answer, or 429        the profile's checks pause in the whole fleet
this process cannot connect, another can    it leaves the profile's checks to the others
one generation always fails                 nothing pauses: only its first error in a row counts
==========================================  ========================================================

Each pause in a row is twice as long as the one before, up to 60 s, unless the API asked for a time. One
successful check, the probe, ends the pause.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from redis.exceptions import RedisError

from mulequeue.api.parsing import TaskReply
from mulequeue.api.results import Fetched, Transient
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.ledger import Claim, Due, new_token

logger = logging.getLogger("mulequeue")

FAILURE_THRESHOLD = 8
"""Errors in a row, each of another generation, before a profile's checks pause."""
PAUSE_FIRST_SECONDS, PAUSE_CEILING_SECONDS = 2.0, 60.0
EARLY_PROBE_SECONDS = 2.0
"""During a pause that the API did not ask for, some generations without errors are checked this often."""
LOG_SECONDS = 60.0
LEFT_TO_OTHERS_SECONDS = 1.0
"""Mean time until a check that this process leaves to others is due again."""
_SPREAD_SECONDS = 10.0
RECORD_SECONDS = 10.0
"""A process records at most once in this time that the API answered it, to save round trips to Redis."""
RECENT_SECONDS = 30.0
"""An answer to another process counts if it is at most this much older than the first error."""


def left_to_others_seconds() -> float:
    """Return the seconds until a check that this process leaves to others is due again.

    The time is random, because two workers receive the poll messages in turn: at fixed intervals the check
    could be due each time in a sweep of this worker.
    """
    return LEFT_TO_OTHERS_SECONDS * (0.5 + random.random())


class Reachability:
    """Record which processes the API answers, by profile. Use the shared object, on the event loop."""

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
        """Return whether the API answered another process since ``RECENT_SECONDS`` before ``since``.

        :param since: when the errors of this process began, on Redis' clock.
        """
        answered = await self._ctx.call(
            self._ctx.ledger.polling.answered_since, profile, since - RECENT_SECONDS
        )
        return any(process != self._process for process in answered)


@dataclass(slots=True)
class _Checks:
    """The state of the status checks of one profile in this process."""

    errors_in_a_row: int = 0
    errors_since: float = 0.0
    answered_at: float = 0.0
    paused_until: float = 0.0
    probe_at: float | None = None
    """When this process makes a probe; until then it leaves the checks to others. None: it leaves none."""
    level: int = 0
    """Number of probes in a row that failed in this process."""
    logged: tuple[str, float] = ("", 0.0)


class CircuitBreaker:
    """Decides, in one process, which profiles' status checks are made, paused or left to other processes.

    :param now: Redis' clock.
    :param probe_seconds: the longest time that a check takes.
    """

    def __init__(self, ctx: WorkerContext, now: Callable[[], float], probe_seconds: float) -> None:
        self._ctx, self._now, self._probe_seconds = ctx, now, probe_seconds
        self._reachability = ctx.shared(Reachability)
        self._lock = asyncio.Lock()
        self._profiles: defaultdict[str, _Checks] = defaultdict(_Checks)
        self._probes: dict[str, bool] = {}
        """Task ids of the probes; True: the checks of the profile are paused in the whole fleet."""

    # -- before a check ----------------------------------------------------------------------

    def most_checks(self) -> dict[str, int]:
        """Return how many checks to claim of each profile that is left to others: 1 if a probe is due, or 0."""
        found = {name: checks.probe_at for name, checks in self._profiles.items()}
        return {name: int(self._now() >= at) for name, at in found.items() if at is not None}

    def begin(self, claim: Claim) -> None:
        """Note which of the claimed checks are probes."""
        for due in claim.polls:
            checks, is_for_all = self._profiles[due.profile], due.profile in claim.reopening
            if is_for_all or checks.probe_at is not None:
                self._probes[due.task_id] = is_for_all
            if checks.probe_at is not None:
                checks.probe_at = self._now() + self._probe_seconds

    def forget(self, due: Due) -> None:
        self._probes.pop(due.task_id, None)

    def released_until(self, due: Due) -> float | None:
        """Return when a claimed record that must not be checked now is due again; None: check it now."""
        checks, now = self._profiles[due.profile], self._now()
        if due.task_id in self._probes:
            return None
        if checks.probe_at is not None:
            return now + left_to_others_seconds()
        if checks.paused_until > now:
            until = min(checks.paused_until, now + EARLY_PROBE_SECONDS)
            return until + _SPREAD_SECONDS * random.random()
        return None

    # -- after a check -----------------------------------------------------------------------

    def has_answered_since(self, profile: str, at: float) -> bool:
        """Return whether the API has answered this process about a generation after ``at``."""
        return self._profiles[profile].answered_at > at

    async def record(self, due: Due, found: Fetched) -> bool:
        """Record the result of a check; return False if its record is left to other processes."""
        is_for_all = self._probes.pop(due.task_id, None)
        if isinstance(found, Transient):
            return await self._record_error(due, found, is_for_all)
        profile, checks = due.profile, self._profiles[due.profile]
        if isinstance(found, TaskReply) or found.is_gone:  # a 404 of the route is no answer
            checks.answered_at = self._now()
        checks.errors_in_a_row = 0
        if checks.probe_at is not None:
            checks.probe_at = None
            logger.info("this worker checks profile %s again", profile, extra={"profile": profile})
        await self._reachability.record_answer(profile)
        if is_for_all:
            checks.paused_until = 0.0
            await self._ctx.call(self._ctx.ledger.polling.recover, profile)
        return True

    async def _record_error(self, due: Due, found: Transient, is_for_all: bool | None) -> bool:
        """Record a failed check, as :meth:`record`; ``is_for_all`` is None if it was no probe."""
        checks = self._profiles[due.profile]
        if not due.errors:  # a second error in a row of one generation may concern it alone
            if not checks.errors_in_a_row:
                checks.errors_since = self._now()
            checks.errors_in_a_row += 1
        async with self._lock:  # the checks of one sweep fail together: one of them decides
            if checks.paused_until > self._now() and not is_for_all:
                return True
            if not found.is_local:
                checks.probe_at = None
            elif await self._leave_to_others(due.profile, found, is_probe=is_for_all is not None):
                return False
            if (
                is_for_all
                or checks.errors_in_a_row >= FAILURE_THRESHOLD
                or (found.status_code == 429 and not due.errors)
            ):
                await self._trip(due.profile, found)
        return True

    async def _leave_to_others(self, profile: str, found: Transient, *, is_probe: bool) -> bool:
        """Leave the profile's checks to other processes if they reach the API; return whether they do."""
        checks = self._profiles[profile]
        if checks.probe_at is not None and not is_probe:
            return True  # another failed check of the same sweep has already decided this
        since = checks.errors_since or self._now()
        if not await self._reachability.is_reached_elsewhere(profile, since):
            checks.probe_at = None
            return False
        checks.level = 0 if checks.probe_at is None else checks.level + 1
        seconds = min(PAUSE_FIRST_SECONDS * 2**checks.level, PAUSE_CEILING_SECONDS)
        checks.probe_at, checks.errors_in_a_row = self._now() + seconds, 0
        logger.warning(
            "this worker leaves the status checks of profile %s to the others for %.0f s, because they reach "
            "the API and it does not: %s. Check this machine's DNS, its proxy (HTTPS_PROXY, NO_PROXY) and its "
            "CA bundle (SSL_CERT_FILE)",
            profile,
            seconds,
            found.reason,
            extra={"profile": profile, "reason": found.reason},
        )
        return True

    async def _trip(self, profile: str, found: Transient) -> None:
        """Pause the profile's checks in the whole fleet."""
        checks = self._profiles[profile]
        is_asked = found.status_code == 429 or found.retry_after_seconds is not None
        checks.paused_until, checks.errors_in_a_row = self._now() + PAUSE_FIRST_SECONDS, 0
        checks.paused_until = await self._ctx.call(
            self._ctx.ledger.polling.trip,
            profile,
            seconds=found.retry_after_seconds,
            first=PAUSE_FIRST_SECONDS,
            ceiling=PAUSE_CEILING_SECONDS,
            reason=found.reason,
            probe_seconds=None if is_asked else EARLY_PROBE_SECONDS,
        )
        if found.is_local:  # another process may be able to connect, so let it make the probe
            checks.probe_at, checks.level = checks.paused_until, 0
        # Log once per minute while probes fail for the same reason.
        reason, at = checks.logged
        if found.reason != reason or self._now() - at >= LOG_SECONDS:
            checks.logged = (found.reason, self._now())
            extra = {"profile": profile, "reason": found.reason}
            logger.warning(
                "status checks of profile %s are paused: %s", profile, found.reason, extra=extra
            )
