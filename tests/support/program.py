"""The program ``mulequeue``, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from support.fleet import Fleet

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*arguments: str) -> list[str]:
    """Its command line, for this Python."""
    return [sys.executable, "-m", "mulequeue", *arguments]


def program_in(fleet: Fleet) -> Run:
    """Runs it in the fleet's folder and environment."""

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            env=fleet.env,
            cwd=fleet.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run
