"""Child processes that never outlive their starter."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

_ORPHAN_GUARD = Path(__file__).with_name("orphan_guard.py")
_TIMEOUT_SECONDS = 10.0


class Child:
    """A command that runs until :meth:`stop`, or until this process is gone, even by SIGKILL.

    A small keeper between the two watches a pipe to this process. Ctrl-C does not reach the
    command by itself, so that its starter decides in which order things end.

    :param output: a file object for what it writes, or ``subprocess.PIPE``.
    :param env: variables on top of this process'.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        output: IO[Any] | int = subprocess.DEVNULL,
    ) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(_ORPHAN_GUARD), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def ask_to_stop(self) -> None:
        """Begin to end it, without waiting."""
        if self.is_running:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it and wait until it is gone; twice does no harm."""
        self.ask_to_stop()
        try:
            self.process.wait(_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def stop_all(children: Sequence[Child]) -> None:
    """End all of them, all at once."""
    for child in children:
        child.ask_to_stop()
    for child in children:
        child.stop()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def worker_command(*arguments: str, app: str = "mulequeue") -> list[str]:
    """The command of a Celery worker in this Python, quick to start beside a user's own workers."""
    quick = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return [sys.executable, "-m", "celery", "-q", "-A", app, "worker", *quick, *arguments]


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that is gone afterwards, even when a file in it disappears meanwhile."""
    return tempfile.TemporaryDirectory(prefix="mulequeue-", ignore_cleanup_errors=True)


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM as Ctrl-C, so that what was started is stopped in order."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
