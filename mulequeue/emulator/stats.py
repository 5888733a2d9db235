"""Counters of the emulator, and waiting for their values."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

# creates     POSTs to a create route                    created     generations stored
# duplicates  stored with the path and body of another   polls       GETs of a generation
# ends        polls answered with a terminal status      downloads   asset GETs completely sent
# webhooks    webhook attempts answered with 2xx         webhook_attempts   all webhook attempts
# auth_leaks  asset requests that carried a key          refused     creates that stored nothing
# held, held_creates, held_polls, held_downloads         requests held now
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
    """Counters whose values coroutines can wait for."""

    def __init__(self) -> None:
        self.values = dict.fromkeys(NAMES, 0)
        self._waits: list[tuple[Mapping[str, int], asyncio.Future[bool]]] = []

    def add(self, name: str, amount: int = 1) -> None:
        """Add to a counter, and end the waits whose values are now reached."""
        self.values[name] += amount
        if self._waits:
            self._resume()

    async def wait_for(self, targets: Mapping[str, int], timeout_seconds: float) -> bool:
        """Wait until each counter in ``targets`` has reached its value; return False on timeout.

        :raises ValueError: there is no counter of that name.
        """
        for name in targets:
            if name not in self.values:
                raise ValueError(f"No counter {name!r}. Known: {', '.join(NAMES)}.")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waits.append((targets, future))
        self._resume()
        try:
            return await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            return False
        finally:
            self._waits = [entry for entry in self._waits if entry[1] is not future]

    def clear(self) -> None:
        """Reset all counters to 0, except those of requests that are still held."""
        for name in NAMES:
            if not name.startswith("held"):
                self.values[name] = 0

    def close(self) -> None:
        """End all waits as timed out."""
        for _, future in self._waits:
            if not future.done():
                future.set_result(False)

    def _resume(self) -> None:
        for targets, future in self._waits:
            if not future.done() and all(self.values[key] >= n for key, n in targets.items()):
                future.set_result(True)
