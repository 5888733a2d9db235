"""Wait for something to become true."""

from __future__ import annotations

import time
from collections.abc import Callable
from subprocess import Popen
from typing import Any, TypeVar

T = TypeVar("T")


def wait_until(
    look: Callable[[], T],
    *,
    seconds: float = 30.0,
    what: str = "",
    every: float = 0.05,
    program: Popen[Any] | None = None,
) -> T:
    """Look again until something true comes back; fails the test after ``seconds``.

    :param program: fails the test as soon as it ends, too.
    """
    ends = time.monotonic() + seconds
    while True:
        ended = program is not None and program.poll() is not None
        found = look()
        if found:
            return found
        if ended:
            raise AssertionError(f"{program!r} ended without {what or look}: {found!r}")
        if time.monotonic() > ends:
            raise AssertionError(f"waited {seconds:g} s in vain for {what or look}: {found!r}")
        time.sleep(every)
