"""Count events for the exporter in the memory of each process; write them to the ledger once per second.

So counting costs a status check no round trip. If a process is killed, the counts of its last second are
lost. States and outcomes are exact, because the ledger counts them.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from mulequeue.api.parsing.task_reply import TaskReply
from mulequeue.api.results import (
    Accepted,
    Fetched,
    NotSent,
    Refused,
    RetryLater,
    Submitted,
    Unknown,
)
from mulequeue.outcome import File

FLUSH_SECONDS = 1.0
GENERATION_SECONDS = (2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
"""Upper bounds of the buckets, in seconds; ``ledger/lua/prelude.lua`` has the same."""
DOWNLOAD_SECONDS = (0.5, 1, 2, 5, 10, 30, 60, 300, 900)
_RESULTS = {
    Accepted: "accepted",
    NotSent: "not_sent",
    RetryLater: "not_created",
    Refused: "refused",
    Unknown: "unknown",
}

Parts = tuple[str, ...]


class Meter:
    """Counters of one process.

    :param write: adds amounts to the ledger; called at most once per second, in a thread.
    """

    def __init__(
        self, write: Callable[[Mapping[Parts, float]], None], *, seconds: float = FLUSH_SECONDS
    ) -> None:
        self._write, self._seconds = write, seconds
        self._lock = threading.Lock()
        self._amounts = defaultdict[Parts, float](float)
        self._is_planned = False

    def count(self, *parts: str, amount: float = 1) -> None:
        """Add ``amount`` to a counter.

        :param parts: the counter's name, then its label values in order.
        """
        with self._lock:
            self._amounts[parts] += amount
            if self._is_planned:
                return
            self._is_planned = True
        timer = threading.Timer(self._seconds, self.flush)
        timer.daemon = True
        timer.start()

    def flush(self) -> None:
        """Write the counts to the ledger. If that fails they are kept for the next flush."""
        with self._lock:
            amounts, self._is_planned = self._amounts, False
            self._amounts = defaultdict(float)
        try:
            if amounts:
                self._write(amounts)
        except Exception:
            # The callers that need Redis log its errors; counting must not raise them.
            for parts, amount in amounts.items():
                self.count(*parts, amount=amount)

    # -- events ----------------------------------------------------------------------------

    def count_submission(self, profile: str, answer: Submitted) -> None:
        self.count("submit_answers", profile, _RESULTS[type(answer)], _code(answer))

    def count_check(self, profile: str, found: Fetched) -> None:
        self.count("poll_answers", profile, _code(found))

    def count_stored(self, files: Sequence[File], seconds: float) -> None:
        """Count the files of a successful download."""
        self.count("download_files", amount=len(files))
        self.count("download_bytes", amount=sum(item.bytes for item in files))
        index = bisect_left(DOWNLOAD_SECONDS, seconds)  # of the first bucket that fits
        bounds = [*(f"{bound:g}" for bound in DOWNLOAD_SECONDS), "+Inf"]
        self.count("download_seconds", bounds[index])
        self.count("download_seconds_sum", amount=float(seconds))

    def count_attempt(self, task: str, result: str) -> None:
        """Count an attempt of a leased task, such as ``download`` or ``notify``.

        :param task: its name.
        :param result: ``done``, ``retried`` or ``given_up``.
        """
        self.count("transfers", task.rpartition(".")[2], result)


def _code(answer: Submitted | Fetched) -> str:
    """Return the HTTP status as a label; empty if there was no response."""
    if isinstance(answer, (Accepted, TaskReply)):
        return "2xx"
    code = getattr(getattr(answer, "error", answer), "status_code", None)
    return "" if code is None else str(code)
