"""Wait for something to become true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    look: Callable[[], T], *, seconds: float = 30.0, what: str = "", every: float = 0.05
) -> T:
    """Look again until something true comes back; fails the test after ``seconds``."""
    ends = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > ends:
            raise AssertionError(f"waited {seconds:g} s in vain for {what or look}: {found!r}")
        time.sleep(every)
