"""Check the status of one generation, and decide whether to check it again or to settle it."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping

from redis.exceptions import RedisError

from mulequeue.api.parsing import TaskReply
from mulequeue.api.results import Fetched
from mulequeue.api.status_checks import is_unknown_id, unused_id
from mulequeue.engine.poll.circuit_breaker import CircuitBreaker
from mulequeue.engine.poll.decide import (
    ERRORS_TO_GIVE_UP,
    PollAgain,
    Terminal,
    again_after_error,
    decide,
    is_unanswered,
)
from mulequeue.engine.poll.poll_plan import DurationCache
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.ledger import Due, Problem
from mulequeue.settings import Profile

logger = logging.getLogger("mulequeue")

REPEAT_SECONDS = 60.0
"""The same reason is logged at most once in this time, for any number of generations."""
_MAX_REASONS = 1000


class Checker:
    """The status checks of one process, one generation at a time; use it on the event loop.

    :param profiles: by name. :param now: Redis' clock.
    """

    def __init__(
        self,
        ctx: WorkerContext,
        profiles: Mapping[str, Profile],
        breaker: CircuitBreaker,
        now: Callable[[], float],
    ) -> None:
        self._ctx, self._settings = ctx, ctx.settings
        self._profiles, self._breaker, self._now = profiles, breaker, now
        self._problems = ProblemLog()
        self._durations = ctx.shared(DurationCache)
        self.with_webhooks: set[str] = set()
        """Names of the profiles for which webhooks arrive."""

    async def check(self, due: Due) -> PollAgain | Terminal | None:
        """Check a generation; return the decision, or None if its record is left to other workers."""
        try:
            decision = await self._check(due)
        except RedisError:
            raise
        except Exception as exc:  # the other checks of the sweep continue
            logger.exception("a status check failed unexpectedly", extra={"task_id": due.task_id})
            reason = f"{type(exc).__name__}: {exc}"
            decision = again_after_error(due, reason, self._now(), random.random())
        if isinstance(decision, PollAgain):
            self._problems.again(due, decision)
        return decision

    async def _check(self, due: Due) -> PollAgain | Terminal | None:
        found = await self._fetch(due, due.remote_id)
        self._ctx.meter.count_check(due.profile, found)
        if not await self._breaker.record(due, found):
            return None
        now = self._now()
        decision = decide(
            due,
            found,
            now=now,
            chance=random.random(),
            grace_seconds=self._settings.not_found_grace_seconds,
            has_webhooks=due.profile in self.with_webhooks,
            poll_plan=self._durations.plan(due.path),
            answers_others=is_unanswered(due, found, now) and await self._answers_others(due),
        )
        if isinstance(decision, Terminal):
            await self._on_end(due, found, decision)
        return decision

    async def _on_end(self, due: Due, found: Fetched, decision: Terminal) -> None:
        if not isinstance(found, TaskReply):
            self._problems.end(due, decision)
        elif due.profile in self.with_webhooks:
            # A check found the end before a webhook: use the usual intervals until the next webhook.
            self.with_webhooks.discard(due.profile)
            await self._ctx.call(self._ctx.ledger.webhooks.record_missed_webhook, due.profile)

    async def _fetch(self, due: Due, remote_id: str) -> Fetched:
        return await self._ctx.checks().fetch(
            self._profiles[due.profile],
            f"/vendors/{due.path}",
            remote_id,
            timeout_seconds=self._settings.poll_timeout_seconds,
        )

    async def _answers_others(self, due: Due) -> bool:
        """Return whether the API answers about other generations of the profile."""
        known = Problem.parse(due.problem)
        if known is not None and self._breaker.has_answered_since(due.profile, known.since):
            return True
        return is_unknown_id(await self._fetch(due, unused_id()))


class ProblemLog:
    """The reasons that one process has logged."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_at: dict[tuple[str, str, str], float] = {}

    def again(self, due: Due, decision: PollAgain) -> None:
        """Log the problem of a check that is repeated: if it is new, and after ``ERRORS_TO_GIVE_UP`` errors."""
        if not decision.problem:
            return
        problem, known = Problem.parse(decision.problem), Problem.parse(due.problem)
        if problem is None:
            return
        extra = {"task_id": due.task_id, "remote_id": due.remote_id, "reason": problem.text}
        if problem.kind == "status":
            if problem != known and self._is_new(due, problem):
                logger.warning(
                    "the API returned an unknown status word: %s; generation %s counts as active",
                    problem.text,
                    due.task_id,
                    extra=extra,
                )
        elif decision.errors == ERRORS_TO_GIVE_UP:
            logger.warning(
                "%d status checks of %s in a row without a usable answer: %s",
                decision.errors,
                due.task_id,
                problem.text,
                extra=extra,
            )
        elif decision.errors == 1 and self._is_new(due, problem):
            logger.warning(
                "a status check of %s is repeated: %s", due.task_id, problem.text, extra=extra
            )

    def end(self, due: Due, decision: Terminal) -> None:
        """Log why a generation was given up."""
        error = decision.answer.get("error") or {}
        logger.warning(
            "gave up the status checks of %s: %s. %s",
            due.task_id,
            error.get("title"),
            error.get("detail"),
            extra={"task_id": due.task_id, "remote_id": due.remote_id},
        )

    def _is_new(self, due: Due, problem: Problem) -> bool:
        key, now = (due.profile, problem.kind, problem.text), self._clock()
        if now - self._logged_at.get(key, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        if len(self._logged_at) >= _MAX_REASONS:
            self._logged_at.clear()
        self._logged_at[key] = now
        return True
