"""What happened so far, and a way to wait until enough of it has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

# creates     POSTs that arrived at a create route       created     generations stored
# duplicates  stored with the path and body of another   polls       GETs of a generation
# ends        polls answered with a terminal status      downloads   asset GETs sent to the end
# webhooks    deliveries answered with 2xx               webhook_attempts   all that were tried
# auth_leaks  asset requests that carried a key          refused     POSTs answered with an error
# held, held_creates, held_polls, held_downloads         requests being held now
NAMES = (
    "creates",
    "created",
    "duplicates",
    "refused",
    "polls",
    "ends",
    "downloads",
    "auth_leaks",
    "webhooks",
    "webhook_attempts",
    "held",
    "held_creates",
    "held_polls",
    "held_downloads",
)


class Counters:
    """Counters that tasks can wait for."""

    def __init__(self) -> None:
        self.values = dict.fromkeys(NAMES, 0)
        self._waiting: list[tuple[Mapping[str, int], asyncio.Future[bool]]] = []

    def add(self, name: str, amount: int = 1) -> None:
        """Count, and resume who waited for it."""
        self.values[name] += amount
        if self._waiting:
            self._resume()

    async def reached(self, targets: Mapping[str, int], timeout_seconds: float) -> bool:
        """Wait until every counter named in ``targets`` is at least its value; False: it took too long.

        :raises ValueError: a name that is no counter.
        """
        for name in targets:
            if name not in self.values:
                raise ValueError(f"No counter {name!r}. Known: {', '.join(NAMES)}.")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((targets, future))
        self._resume()
        try:
            return await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            return False
        finally:
            self._waiting = [entry for entry in self._waiting if entry[1] is not future]

    def clear(self) -> None:
        """Start again from 0; what is held is still held."""
        for name in NAMES:
            if not name.startswith("held"):
                self.values[name] = 0

    def close(self) -> None:
        """Let everybody go who still waits."""
        for _, future in self._waiting:
            if not future.done():
                future.set_result(False)

    def _resume(self) -> None:
        for targets, future in self._waiting:
            if not future.done() and all(self.values[key] >= n for key, n in targets.items()):
                future.set_result(True)
