"""Call functions at a later time, on a thread that many timers share.

Deadlines and leases must take effect while a transfer waits for bytes. One thread per deadline would cost more
than the transfer itself. Most timers are cancelled before they are due, so a new timer wakes the shared thread
only if the new timer is due before all others.
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
    """A scheduled call, created by :class:`Timers`."""

    at: float
    """Due time, on the monotonic clock."""
    call: Callable[[], object]
    every: float | None
    """Seconds until the next call; None: call once."""


class Timers:
    """Timers that share one thread. The thread runs while there is at least one timer.

    A slow call delays the calls of the other timers. Calls that may block need a separate :class:`Timers`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Start empty: a forked process has neither the thread nor the parent's transfers."""
        self._changed = threading.Condition(threading.Lock())
        self._timers: set[Timer] = set()
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Call ``call`` once, ``seconds`` from now, unless the timer is cancelled."""
        return self._add(Timer(time.monotonic() + seconds, call, None))

    def every(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Call ``call`` every ``seconds`` until the timer is cancelled."""
        return self._add(Timer(time.monotonic() + seconds, call, seconds))

    def cancel(self, timer: Timer) -> bool:
        """Cancel a timer; return False if it was cancelled before, or if its only call has begun."""
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
                logger.exception("a timer of %s failed", self._name)

    def _due(self) -> Timer | None:
        """Wait until a timer is due and return it; return None if no timer is left."""
        with self._changed:
            while self._timers:
                # No heap: there are few timers, and nearly all are cancelled before they are due.
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
"""Timers for calls that never block."""
