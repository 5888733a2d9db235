"""Pause status checks that fail: of a profile fleet-wide, or those of one process alone.

==========================================  ========================================================
no generation gets an answer, or 429        the profile's checks pause in the whole fleet
this process cannot connect, another can    it leaves the profile's checks to the others
one generation always fails                 nothing pauses: only its first error in a row counts
==========================================  ========================================================

Each pause doubles; a single check, the probe, ends it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum

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
"""Until a check that this process leaves to others is due again, in the mean."""
_SPREAD_SECONDS = 10.0
RECORD_SECONDS = 10.0
"""A process records its answers at most once in this time: a status check costs no round trip."""
RECENT_SECONDS = 30.0
"""An answer that another process got this long before the first error still counts."""


def left_to_others_seconds() -> float:
    """Return the seconds until a check is due again that this process leaves to others.

    They vary, because the poll messages of two workers alternate: at fixed intervals the same one could
    receive each of those that matter.
    """
    return LEFT_TO_OTHERS_SECONDS * (0.5 + random.random())


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


class Probe(Enum):
    """A check that is made although checks are paused; an answer resumes them."""

    FOR_ALL = "for all"
    FOR_THIS_PROCESS = "for this process"


@dataclass(frozen=True, slots=True)
class _Absence:
    """A profile whose checks this process leaves to others."""

    until: float
    """When it makes a probe."""
    level: int = 0


class CircuitBreaker:
    """The profiles whose checks fail, as one process knows them.

    :param now: Redis' clock.
    :param probe_seconds: the longest that a check takes.
    """

    def __init__(self, ctx: WorkerContext, now: Callable[[], float], probe_seconds: float) -> None:
        self._ctx, self._now, self._probe_seconds = ctx, now, probe_seconds
        self._reachability = ctx.shared(Reachability)
        self._lock = asyncio.Lock()
        self._errors_in_a_row: dict[str, int] = {}
        self._errors_since: dict[str, float] = {}
        self._answered_at: dict[str, float] = {}
        self._paused_until: dict[str, float] = {}
        self._absent: dict[str, _Absence] = {}
        self._probes: dict[str, Probe] = {}
        self._logged: dict[str, tuple[str, float]] = {}

    # -- before a check ----------------------------------------------------------------------

    def most_checks(self) -> dict[str, int]:
        """Return how many checks to claim of the profiles that are left to others: one probe, or none."""
        return {profile: int(self._now() >= found.until) for profile, found in self._absent.items()}

    def begin(self, claim: Claim) -> None:
        """Note which of the claimed checks are probes."""
        if not (claim.reopening or self._absent):
            return
        for due in claim.polls:
            absence = self._absent.get(due.profile)
            if absence is not None:
                until = self._now() + self._probe_seconds
                self._absent[due.profile] = replace(absence, until=until)
            if due.profile in claim.reopening:
                self._probes[due.task_id] = Probe.FOR_ALL
            elif absence is not None:
                self._probes[due.task_id] = Probe.FOR_THIS_PROCESS

    def forget(self, due: Due) -> None:
        """Note that a claimed check is not made."""
        self._probes.pop(due.task_id, None)

    def released_until(self, due: Due) -> float | None:
        """Return when a claimed record is due again without a check; None: check it now."""
        if due.task_id in self._probes:
            return None
        if due.profile in self._absent:
            return self._now() + left_to_others_seconds()
        if self._is_paused(due.profile):
            until = min(self._paused_until[due.profile], self._now() + EARLY_PROBE_SECONDS)
            return until + _SPREAD_SECONDS * random.random()
        return None

    def _is_paused(self, profile: str) -> bool:
        return self._paused_until.get(profile, 0.0) > self._now()

    # -- after a check -----------------------------------------------------------------------

    def has_answered_since(self, profile: str, at: float) -> bool:
        """Return whether the API has answered this process with a generation's state since then."""
        return self._answered_at.get(profile, 0.0) > at

    async def record(self, due: Due, found: Fetched) -> bool:
        """Record the result of a check; return False if the record is left to other processes."""
        probe = self._probes.pop(due.task_id, None)
        if isinstance(found, Transient):
            return await self._record_error(due, found, probe)
        profile = due.profile
        if isinstance(found, TaskReply) or found.is_gone:  # a 404 of the route is no answer
            self._answered_at[profile] = self._now()
        if self._errors_in_a_row.get(profile):
            self._errors_in_a_row[profile] = 0
        if self._absent.pop(profile, None) is not None:
            logger.info("this worker checks profile %s again", profile, extra={"profile": profile})
        await self._reachability.record_answer(profile)
        if probe is Probe.FOR_ALL:
            self._paused_until.pop(profile, None)
            await self._ctx.call(self._ctx.ledger.polling.recover, profile)
        return True

    async def _record_error(self, due: Due, found: Transient, probe: Probe | None) -> bool:
        profile = due.profile
        if not due.errors:  # a generation that has failed before may fail whatever the API does
            count = self._errors_in_a_row.get(profile, 0)
            self._errors_in_a_row[profile] = count + 1
            if not count:
                self._errors_since[profile] = self._now()
        async with self._lock:  # the checks of one sweep fail together: one of them decides
            if self._is_paused(profile) and probe is not Probe.FOR_ALL:
                return True
            if not found.is_local:
                self._absent.pop(profile, None)
            elif await self._leave_to_others(profile, found, is_probe=probe is not None):
                return False
            if (
                probe is Probe.FOR_ALL
                or self._errors_in_a_row.get(profile, 0) >= FAILURE_THRESHOLD
                or (found.status_code == 429 and not due.errors)
            ):
                await self._trip(profile, found)
        return True

    async def _leave_to_others(self, profile: str, found: Transient, *, is_probe: bool) -> bool:
        """Leave the profile's checks to other processes if they reach the API; return whether they do."""
        absence = self._absent.get(profile)
        if absence is not None and not is_probe:
            return True  # a check that failed together with this one has decided
        since = self._errors_since.get(profile, self._now())
        if not await self._reachability.is_reached_elsewhere(profile, since):
            self._absent.pop(profile, None)
            return False
        level = 0 if absence is None else absence.level + 1
        seconds = min(PAUSE_FIRST_SECONDS * 2**level, PAUSE_CEILING_SECONDS)
        self._absent[profile] = _Absence(self._now() + seconds, level)
        self._errors_in_a_row[profile] = 0
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
        is_asked = found.status_code == 429 or found.retry_after_seconds is not None
        self._paused_until[profile] = self._now() + PAUSE_FIRST_SECONDS
        self._errors_in_a_row[profile] = 0
        self._paused_until[profile] = until = await self._ctx.call(
            self._ctx.ledger.polling.trip,
            profile,
            seconds=found.retry_after_seconds,
            first=PAUSE_FIRST_SECONDS,
            ceiling=PAUSE_CEILING_SECONDS,
            reason=found.reason,
            probe_seconds=None if is_asked else EARLY_PROBE_SECONDS,
        )
        if found.is_local:  # another process may be able to connect: it makes the probe
            self._absent[profile] = _Absence(until)
        self._log_pause(profile, found.reason)

    def _log_pause(self, profile: str, reason: str) -> None:
        """Log a pause: while probes fail for the same reason, once per minute."""
        logged, at = self._logged.get(profile, ("", 0.0))
        if reason != logged or self._now() - at >= LOG_SECONDS:
            self._logged[profile] = (reason, self._now())
            extra = {"profile": profile, "reason": reason}
            logger.warning(
                "status checks of profile %s are paused: %s", profile, reason, extra=extra
            )
