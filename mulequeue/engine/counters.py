"""What every process counts for the exporter, in its memory; written to the ledger once a second.

Nothing here costs a round trip per status check. What a process had not written when it was killed
is lost (a second's worth): states and outcomes are counted by the ledger itself, exactly.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mulequeue.api.parsing import TaskReply
from mulequeue.api.results import (
    Accepted,
    Fetched,
    NotFound,
    NotSent,
    Refused,
    RetryLater,
    Submitted,
)
from mulequeue.outcome import File

FLUSH_SECONDS = 1.0
GENERATION_SECONDS = (2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
"""Upper bounds of the buckets; ``ledger/lua/prelude.lua`` counts into them."""
DOWNLOAD_SECONDS = (0.5, 1, 2, 5, 10, 30, 60, 300, 900)

Parts = tuple[str, ...]


class Meter:
    """Counters of one process.

    :param write: adds to what the ledger holds; called at most once a second, in a thread.
    """

    def __init__(
        self, write: Callable[[Mapping[Parts, float]], None], *, seconds: float = FLUSH_SECONDS
    ) -> None:
        self._write, self._seconds = write, seconds
        self._lock = threading.Lock()
        self._amounts: dict[Parts, float] = {}
        self._is_planned = False

    def count(self, *parts: str, amount: float = 1) -> None:
        """Add to a counter.

        :param parts: its name and its labels' values.
        """
        with self._lock:
            self._amounts[parts] = self._amounts.get(parts, 0) + amount
            if self._is_planned:
                return
            self._is_planned = True
        timer = threading.Timer(self._seconds, self.flush)
        timer.daemon = True
        timer.start()

    def observe(self, *parts: str, value: float, bounds: Sequence[float]) -> None:
        """Add one value to a histogram, in the first bucket that holds it."""
        index = bisect_left(bounds, value)
        self.count(*parts, "+Inf" if index == len(bounds) else f"{bounds[index]:g}")
        self.count(f"{parts[0]}_sum", *parts[1:], amount=float(value))

    def flush(self) -> None:
        """Write what was counted. While the ledger is away it is kept for the next time."""
        with self._lock:
            amounts, self._amounts, self._is_planned = self._amounts, {}, False
        try:
            if amounts:
                self._write(amounts)
        except Exception:
            # That Redis is away is said by those who need it; here it must not stop anything.
            for parts, amount in amounts.items():
                self.count(*parts, amount=amount)

    # -- what is counted -------------------------------------------------------------------

    def count_submission(self, profile: str, answer: Submitted) -> None:
        """What became of a create request."""
        self.count("submit_answers", profile, *_outcome_label(answer))

    def count_check(self, profile: str, found: Fetched) -> None:
        """What a status check was answered."""
        self.count("poll_answers", profile, _code(found))

    def count_stored(self, files: Sequence[File], seconds: float) -> None:
        """A download ended well."""
        self.count("download_files", amount=len(files))
        self.count("download_bytes", amount=sum(item.bytes for item in files))
        self.observe("download_seconds", value=seconds, bounds=DOWNLOAD_SECONDS)

    def count_attempt(self, task: str, result: str) -> None:
        """An attempt of ``download`` or ``notify`` is over: done, retried or given_up."""
        self.count("transfers", task.rpartition(".")[2], result)


def _outcome_label(answer: Submitted) -> tuple[str, str]:
    """What the answer means for the money, and its HTTP status; empty: there was none."""
    if isinstance(answer, Accepted):
        return "accepted", "2xx"
    if isinstance(answer, NotSent):
        return "not_sent", ""
    if isinstance(answer, RetryLater | Refused):
        what = "refused" if isinstance(answer, Refused) else "not_created"
        return what, _text(answer.error.status_code)
    return "unknown", _text(answer.status_code)


def _code(found: Fetched) -> str:
    if isinstance(found, TaskReply):
        return "2xx"
    return "404" if isinstance(found, NotFound) else _text(found.status_code)


def _text(code: Any) -> str:
    return "" if code is None else str(code)
