"""How processes that tests start come to their end."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any


def wait_or_kill(process: subprocess.Popen[Any], seconds: float, *, is_group: bool = False) -> None:
    """Wait for a process that was asked to end; SIGKILL if that takes longer.

    :param is_group: it leads a process group, and all of that is killed.
    """
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL) if is_group else process.kill()
        process.wait()
