"""Whether somebody has paused what is being watched."""

from __future__ import annotations

import time
from collections.abc import Callable

from redis.exceptions import RedisError

from mulequeue.ledger import Ledger

REFRESH_SECONDS = 2.0


class PauseHint:
    """Says once that submissions are paused by hand, as long as they are. Call it now and then.

    :param print_message: gets the sentence.
    :param clock: steady seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        print_message: Callable[[str], None],
        *,
        profile: str = "default",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger, self._print, self._profile, self._clock = (
            ledger,
            print_message,
            profile,
            clock,
        )
        self._next = clock()
        self._is_said = False

    def __call__(self) -> None:
        if self._clock() < self._next:
            return
        self._next = self._clock() + REFRESH_SECONDS
        try:
            (status,) = self._ledger.limits.submission_statuses([self._profile])
        except RedisError:
            return  # said by whoever looks at the batch
        is_held = status.paused_since is not None
        if is_held and not self._is_said:
            self._print(
                f"Submissions of profile {self._profile} are paused by hand. Let them go on:\n"
                f"  mulequeue unpause --profile {self._profile}"
            )
        self._is_said = is_held
