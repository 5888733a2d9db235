"""Compute the waits before status checks, and before the next attempt after a failure.

Pure: the random number is an argument, so that tests can list the waits of a schedule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mulequeue.errors import InputError

_BACKOFF_SPREAD = 0.25
MAX_WAIT_CEILING_SECONDS = 24 * 3600.0
"""Longest time that a generation may stay active, even if its call or its model allows a longer one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSchedule:
    """Waits that grow from ``first`` by ``factor`` up to ``ceiling``, each spread by ``jitter``."""

    first: float
    """Seconds before the first poll."""
    factor: float
    """Ratio of each wait to the one before it; 1 or more."""
    ceiling: float
    """Longest wait in seconds, before jitter."""
    jitter: float = 0.1
    """Fraction by which a wait varies: 0.1 gives 90 % to 110 %, so that a batch is not checked all at once."""
    low: float = 0.0
    """Shortest wait in seconds, jitter included, if the model's page states one."""
    high: float = math.inf
    """Longest wait in seconds, jitter included, if the model's page states one."""

    def seconds(self, attempt: int, chance: float = 0.5) -> float:
        """Return the seconds to wait before status check number ``attempt`` (0 is the first).

        :param chance: a random number in [0, 1); 0.5 gives the wait without jitter.
        """
        wait = _grown(self.first, self.factor, self.ceiling, attempt)
        wait *= 1 + self.jitter * (2 * chance - 1)
        return min(max(wait, self.low), self.high)

    @classmethod
    def fixed(cls, seconds: float) -> PollSchedule:
        """Return a schedule with the same wait before every status check, except for the jitter of 10 %.

        :raises InputError: ``seconds`` is not a number above 0.
        """
        if not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
            raise InputError(
                f"poll_interval is {seconds!r}; it must be a number of seconds above 0."
            )
        return cls(first=seconds, factor=1.0, ceiling=seconds)


def backoff_seconds(attempt: int, *, first: float, ceiling: float, chance: float) -> float:
    """Return the seconds to wait after failure number ``attempt`` (0 is the first).

    The wait doubles with each failure, varies by up to 25 %, and never exceeds ``ceiling``.

    :param first: seconds to wait after the first failure.
    :param ceiling: longest wait in seconds.
    :param chance: a random number in [0, 1); 0.5 gives the wait without jitter.
    """
    delay = _grown(first, 2.0, ceiling, attempt)
    return min(delay * (1 + _BACKOFF_SPREAD * (2 * chance - 1)), ceiling)


def _grown(first: float, factor: float, ceiling: float, attempt: int) -> float:
    try:
        return min(first * math.pow(factor, attempt), ceiling)
    except OverflowError:  # after some thousand attempts, far above any ceiling
        return ceiling
