"""Measure the lateness of status checks: from the due time in the ledger to the arrival at the API.

Due times are read from the ledger's index twice per second, arrivals from the bench server's log. All
times come from the clock of this machine.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from redis import Redis

from benchmarks.filling import task_id_of

# A claim changes the due time, so only the due time of an unclaimed record is used.
_DUE = """
local found = {}
for i, id in ipairs(ARGV) do
  local at = redis.call('ZSCORE', KEYS[1], id)
  local claim = redis.call('HGET', 'mulequeue:{default}:record:' .. id, 'claim')
  found[i] = not claim and at or ''
end
return found
"""
_EVERY_SECONDS = 0.5
SAMPLE = 500


class DueTimes:
    """Reads the due times of a sample of the generations until it is stopped.

    :param count: the number of generations, made by :mod:`benchmarks.filling`.
    """

    def __init__(self, url: str, count: int) -> None:
        self.numbers = range(0, count, max(count // SAMPLE, 1))
        self.of: dict[int, set[float]] = defaultdict(set)
        self._redis = Redis.from_url(url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        ids = [task_id_of(number) for number in self.numbers]
        script = self._redis.register_script(_DUE)
        while not self._stop.wait(_EVERY_SECONDS):
            for number, at in zip(
                self.numbers, script(keys=["mulequeue:{default}:due"], args=ids), strict=True
            ):
                if at:
                    self.of[number].add(float(at))

    def stop(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()


def lateness(
    due: Mapping[int, set[float]], arrivals: Mapping[int, Sequence[float]], since: float
) -> Iterator[float]:
    """Return the seconds from each due time after ``since`` to the check's arrival.

    A check that has not arrived yet counts with its lateness so far.
    """
    now = time.time()
    for number, times in due.items():
        seen = arrivals.get(number, [])
        for at in times:
            if since <= at < now - 1:
                found = bisect_left(seen, at - 0.005)
                yield max((seen[found] if found < len(seen) else now) - at, 0.0)
