"""Schedule the offers to other workers of work that one worker cannot do."""

from __future__ import annotations

import random

MAX_ELSEWHERE = 72
"""Workers in a row whose configuration does not allow the work, until it is given up: about an hour."""
# Short at first: the next worker probably can do it, and a countdown message waits in the worker that took it.
_DELAYS_SECONDS = (1, 1, 1, 2, 2, 2, 3, 3, 4, 6, 10, 15, 30, 60)


def elsewhere_delay(number: int) -> float:
    """Return the seconds until work is offered again.

    :param number: how many workers in a row could not do it, from 1.
    """
    return _DELAYS_SECONDS[min(number, len(_DELAYS_SECONDS)) - 1] * random.uniform(0.8, 1.2)
