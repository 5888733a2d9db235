"""Ports, commands and folders of the processes that demo and dev start."""

from __future__ import annotations

import socket
import sys
import tempfile


def free_port() -> int:
    """Return a port of the loopback interface that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def worker_command(*arguments: str, app: str = "mulequeue") -> list[str]:
    """Return the command of a Celery worker for this Python.

    Without gossip, mingle and heartbeat it starts faster, and exchanges no messages with other workers.
    """
    quick = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return [sys.executable, "-m", "celery", "-q", "-A", app, "worker", *quick, *arguments]


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder. Errors of its removal, such as a file that has disappeared, are ignored."""
    return tempfile.TemporaryDirectory(prefix="mulequeue-", ignore_cleanup_errors=True)
