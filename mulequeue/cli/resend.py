"""Publish a batch or a generation again whose message a broker lost."""

from __future__ import annotations

import time
from collections.abc import Callable

IDLE_SECONDS = 30.0
"""A message that no worker has begun for so long is published again; the time then doubles."""


class Resender:
    """Publishes again what no worker has begun. Call it repeatedly.

    A Redis broker hands out a message before it records that a worker has it, so a worker that is
    killed at that moment loses the message. A repeated message is ignored by its id. From the first
    worker on, the ledger has everything.

    :param has_started: whether a worker has begun it.
    :param enqueue: publishes it.
    :param clock: steady seconds.
    """

    def __init__(
        self,
        has_started: Callable[[], bool],
        enqueue: Callable[[], object],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._has_started, self._enqueue, self._clock = has_started, enqueue, clock
        self._since, self._wait = clock(), IDLE_SECONDS

    def __call__(self) -> None:
        if self._has_started() or self._clock() - self._since < self._wait:
            return
        self._since, self._wait = self._clock(), self._wait * 2
        self._enqueue()
