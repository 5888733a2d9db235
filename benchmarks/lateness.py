"""How late status checks are: from when the ledger wants one to when it arrives at the API.

Both ends are seen from outside: due times are read from the ledger's index twice a second, arrivals
from the bench server's log. All clocks are this machine's.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from redis import Redis

from benchmarks.filling import task_id_of

# A claim moves the due time away; only that of an unclaimed record is when a check is due.
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
    """Reads the due times of some generations until it is stopped.

    :param count: how many generations there are, made by :mod:`benchmarks.filling`.
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
        """No more."""
        self._stop.set()
        self._thread.join()


def lateness(
    due: Mapping[int, set[float]], arrivals: Mapping[int, Sequence[float]], since: float
) -> Iterator[float]:
    """Seconds from each due time after ``since`` to the check's arrival.

    A check that has not arrived yet counts as late as it is by now.
    """
    now = time.time()
    for number, times in due.items():
        seen = arrivals.get(number, [])
        for at in times:
            if since <= at < now - 1:
                found = bisect_left(seen, at - 0.005)
                yield max((seen[found] if found < len(seen) else now) - at, 0.0)
