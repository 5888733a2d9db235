"""Shorten the waits of the poll loop and between attempts from seconds to hundredths, for tests."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from unittest.mock import patch

from mulequeue.catalog.poll_schedule import PollSchedule

WAIT_SECONDS = 0.05
"""The longest wait between two status checks."""
_DELAYS = (0.05, 0.1, 0.2)


@contextlib.contextmanager
def fast_timeouts() -> Iterator[None]:
    """Shorten the waits in this process while the block runs, and do not learn poll intervals."""
    # Imported here, so that a test run that uses no fixture does not load the engine.
    from mulequeue.engine.followups import download, notify
    from mulequeue.engine.poll import circuit_breaker, decide, poll_plan, sweep
    from mulequeue.engine.submit import create

    original = PollSchedule.seconds

    def seconds(self: PollSchedule, attempt: int, chance: float = 0.5) -> float:
        return min(original(self, attempt, chance), WAIT_SECONDS)

    with (
        patch.object(PollSchedule, "seconds", seconds),
        patch.object(poll_plan, "MIN_SAMPLES", math.inf),  # poll intervals are not learned
        patch.object(sweep, "GAP_SECONDS", 0.02),
        patch.multiple(
            decide, ERROR_FIRST_SECONDS=0.05, ERROR_CEILING_SECONDS=0.2, EMPTY_SECONDS=0.2
        ),
        patch.multiple(circuit_breaker, PAUSE_FIRST_SECONDS=0.1, PAUSE_CEILING_SECONDS=0.5),
        patch.multiple(
            create,
            RETRY_LATER_FIRST_SECONDS=0.1,
            RETRY_LATER_CEILING_SECONDS=0.5,
            FIX_CEILING_SECONDS=0.5,
            NOT_SENT_FIRST_SECONDS=0.1,
            NOT_SENT_CEILING_SECONDS=0.5,
        ),
        patch.object(download, "DELAYS_SECONDS", _DELAYS),
        patch.object(notify, "DELAYS_SECONDS", _DELAYS),
    ):
        yield
