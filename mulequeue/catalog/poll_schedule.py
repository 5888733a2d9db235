"""How long to wait: before the next poll, and before the next attempt after a failure.

Pure: the random number is an argument, so that a schedule can be tested by table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mulequeue.errors import InputError

_BACKOFF_SPREAD = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSchedule:
    """Waits that grow from ``first`` by ``factor`` to ``ceiling``, each spread by ``jitter``."""

    first: float
    """Seconds before the first poll."""
    factor: float
    """What each wait is multiplied by to give the next; 1 or more."""
    ceiling: float
    """Seconds that the growth stops at."""
    jitter: float = 0.1
    """Fraction: 0.1 spreads a wait over 90 % to 110 %, so that a batch does not poll in step."""
    low: float = 0.0
    """Seconds that no wait goes below, jitter included: what the model's own page asks for."""
    high: float = math.inf
    """Seconds that no wait goes above, jitter included."""

    def seconds(self, attempt: int, chance: float = 0.5) -> float:
        """Seconds to wait before poll number ``attempt`` (0 is the first).

        :param chance: a random number in [0, 1); 0.5 gives the wait without jitter.
        """
        wait = _grown(self.first, self.factor, self.ceiling, attempt)
        wait *= 1 + self.jitter * (2 * chance - 1)
        return min(max(wait, self.low), self.high)

    @classmethod
    def fixed(cls, seconds: float) -> PollSchedule:
        """The same wait before every poll, jittered like any other.

        :raises InputError: ``seconds`` is not a number above 0.
        """
        if not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
            raise InputError(
                f"A poll interval of {seconds!r} s cannot be kept. Give a number of seconds above 0."
            )
        return cls(first=seconds, factor=1.0, ceiling=seconds)


def backoff_seconds(attempt: int, *, first: float, ceiling: float, chance: float) -> float:
    """Seconds to wait after failure number ``attempt`` (0 is the first): doubling, never above
    ``ceiling``, spread by a quarter.

    :param chance: a random number in [0, 1); 0.5 gives the delay without jitter.
    """
    delay = _grown(first, 2.0, ceiling, attempt)
    return min(delay * (1 + _BACKOFF_SPREAD * (2 * chance - 1)), ceiling)


def _grown(first: float, factor: float, ceiling: float, attempt: int) -> float:
    try:
        return min(first * math.pow(factor, attempt), ceiling)
    except OverflowError:  # some thousand attempts: far beyond any ceiling
        return ceiling
