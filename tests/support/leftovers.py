"""End the servers and workers that an interrupted test run leaves behind.

They lead sessions of their own, so Ctrl-C in the terminal or the death of a test process does not reach them. All
have the same variable in their environment, by which a small program finds them once that process has ended.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_VARIABLE = "TEST_RUN"


def kill_at_exit() -> None:
    """Let what this process starts from now on be killed when it has ended, in whatever way.

    Only on Linux: elsewhere nothing shows the environment of a process.
    """
    if not hasattr(os, "pidfd_open") or not Path("/proc/self/environ").exists():
        return
    os.environ[_VARIABLE] = uuid.uuid4().hex
    command = [sys.executable, "-S", __file__, str(os.getpid())]
    subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)


def mark() -> dict[str, str]:
    """Return the variable, for a process that gets an environment of its own."""
    return {_VARIABLE: os.environ[_VARIABLE]} if _VARIABLE in os.environ else {}


def _wait_for_end(pid: int) -> None:
    """Wait until a process has ended, whoever its parent is."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()


def _leftovers(mark: bytes) -> Iterator[int]:
    """Iterate over the other processes that have the mark in their environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def _main(pid: int) -> None:
    _wait_for_end(pid)
    mark = f"{_VARIABLE}={os.environ[_VARIABLE]}".encode()
    for left in _leftovers(mark):
        if left != os.getpid():
            with suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
