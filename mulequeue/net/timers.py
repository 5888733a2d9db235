"""Calls at a later time, made by one thread a process; most are called off long before.

Deadlines and leases need something that acts while the transfer waits. A thread for each costs more
than the transfer's own work; here a new alarm wakes the thread only when it is the first to ring.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger("mulequeue")


@dataclass(eq=False, slots=True)
class Timer:
    """One call to come; made by :class:`Timers`."""

    at: float
    """When, on the monotonic clock."""
    call: Callable[[], object]
    every: float | None
    """Seconds after which it rings again; None: once."""


class Timers:
    """Alarms that share a thread. It starts with the first one and ends when none is left.

    What is called holds up the others: give calls that may block alarms of their own.

    :param name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """A forked process has neither the thread nor the transfers the alarms were for."""
        self._changed = threading.Condition(threading.Lock())
        self._timers: set[Timer] = set()
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Call ``call`` once, ``seconds`` from now, unless the alarm is cancelled."""
        return self._add(Timer(time.monotonic() + seconds, call, None))

    def every(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Call ``call`` every ``seconds`` until the alarm is cancelled."""
        return self._add(Timer(time.monotonic() + seconds, call, seconds))

    def cancel(self, timer: Timer) -> bool:
        """Call it off; False: too late, it rang or rings at this moment."""
        with self._changed:
            is_pending = timer in self._timers
            self._timers.discard(timer)
        return is_pending

    def _add(self, timer: Timer) -> Timer:
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
            elif timer.at < self._wakes_at:
                self._changed.notify()
            self._timers.add(timer)
        return timer

    def _run(self) -> None:
        while (timer := self._due()) is not None:
            try:
                timer.call()
            except Exception:
                logger.exception("an alarm of %s failed", self._name)

    def _due(self) -> Timer | None:
        """Wait for the next alarm that rings; None when there is none left."""
        with self._changed:
            while self._timers:
                # No heap: there are few, and nearly all are cancelled before anybody looks.
                first = min(self._timers, key=lambda timer: timer.at)
                now = time.monotonic()
                if first.at <= now:
                    if first.every is None:
                        self._timers.discard(first)
                    else:
                        first.at = now + first.every
                    return first
                self._wakes_at = first.at
                self._changed.wait(min(first.at - now, threading.TIMEOUT_MAX))
            self._thread = None
            return None


deadlines = Timers("mulequeue-deadlines")
"""For calls that never block."""
