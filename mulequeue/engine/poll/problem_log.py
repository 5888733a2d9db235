"""Log why generations do not end. During an outage that is one line, not one per generation."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from mulequeue.engine.poll.decide import ERRORS_TO_GIVE_UP, PollAgain, Terminal
from mulequeue.ledger import Due, Problem

logger = logging.getLogger("mulequeue")

REPEAT_SECONDS = 60.0
"""The same reason is logged at most once in this time, whatever the number of generations."""
_MAX_REASONS = 1000


class ProblemLog:
    """The reasons that one process has logged.

    :param clock: seconds of a steady clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_at: dict[tuple[str, str, str], float] = {}

    def again(self, due: Due, decision: PollAgain) -> None:
        """Log the problem of a check that is repeated: if it is new, and when it persists."""
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
