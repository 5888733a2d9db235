"""Child processes that end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_ORPHAN_GUARD = Path(__file__).with_name("orphan_guard.py")
_STOP_SECONDS = 10.0


class Child:
    """A command that runs until :meth:`stop`, or until this process ends, even by SIGKILL.

    A small guard process starts the command, and stops it when its pipe to this process is closed. Ctrl-C
    does not reach the command, so this process decides in which order its children end.

    :param output: receives standard output: a file object, ``subprocess.PIPE``, or None to inherit.
    :param errors: receives standard error, likewise; the default is the same as ``output``.
    :param env: variables added to this process' environment.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        output: IO[Any] | int | None = subprocess.DEVNULL,
        errors: IO[Any] | int | None = subprocess.STDOUT,
    ) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(_ORPHAN_GUARD), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def send_stop(self) -> None:
        """Send SIGTERM without waiting for the end."""
        if self.is_running:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Stop the command and wait until it has ended; a second call does nothing."""
        self.send_stop()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def stop_all(children: Sequence[Child]) -> None:
    """Send SIGTERM to all commands, then wait until each has ended."""
    for child in children:
        child.send_stop()
    for child in children:
        child.stop()
