"""The program ``mulequeue``, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from support.fleet import Fleet

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SUMMARY = [
    "submitted",
    "succeeded",
    "failed",
    "timed_out",
    "submit_unknown",
    "cancelled",
    "files",
    "seconds",
    "batch_id",
    "estimated_usd",
    "charging_unknown_usd",
    "may_have_been_charged_usd",
    "unpriced",
]
"""The keys of what ``batch --json`` and ``demo --json`` print, in that order."""


def command(*arguments: str) -> list[str]:
    """Its command line, for this Python."""
    return [sys.executable, "-m", "mulequeue", *arguments]


def runs_in(folder: Path, env: dict[str, str], *under: str) -> Run:
    """Runs it in a folder, with an environment, for a minute at most.

    :param under: the words of another program that has ours as a command, such as
        ``celery -A proj mulequeue``; none: it is run by itself.
    """

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", *under, *arguments] if under else command(*arguments)
        return subprocess.run(
            words, env=env, cwd=folder, input=stdin, capture_output=True, text=True, timeout=60
        )

    return run


def program_in(fleet: Fleet) -> Run:
    """Runs it in the fleet's folder and environment."""
    return runs_in(fleet.folder, fleet.env)
