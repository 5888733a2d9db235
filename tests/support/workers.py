"""Worker processes, and what has some of them beside an app that sends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import psutil
from celery import Celery, signature

from support.processes import wait_or_kill
from support.results import forget_results
from support.waiting import wait_until


class WorkerProcess:
    """``celery -A … worker`` as a process group of its own; the log is in a file."""

    def __init__(
        self,
        name: str,
        env: dict[str, str],
        folder: Path,
        options: list[str],
        *,
        app: str = "mulequeue",
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._file = self.log.open("ab")
        command = [sys.executable, "-m", "celery", "-A", app, "worker"]
        # Without mingle it is ready a second sooner; gossip hangs some starts on gevent.
        command += ["-n", f"{name}@test", "-l", "INFO", "--without-mingle", "--without-gossip"]
        command += options
        self._process = subprocess.Popen(
            command,
            env=env,
            cwd=folder,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def text(self) -> str:
        """What it logged."""
        return self.log.read_text(errors="replace")

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Until it consumes."""

        def ready() -> bool:
            assert self._process.poll() is None, f"the worker ended:\n{self.text}"
            return " ready." in self.text

        wait_until(ready, seconds=seconds, what=f"worker {self.name} to be ready")

    def wait_for_text(self, text: str, seconds: float = 30.0) -> None:
        """Until it logged that."""
        wait_until(lambda: text in self.text, seconds=seconds, what=f"{self.name} to say {text!r}")

    def wait_ended(self, seconds: float = 30.0) -> int:
        """Until it ended by itself; its exit code."""
        return self._process.wait(seconds)

    def children(self) -> list[psutil.Process]:
        """The pool's processes."""
        return psutil.Process(self.pid).children(recursive=True)

    def kill(self) -> None:
        """SIGKILL to the worker and its pool at once: what a machine that loses power does."""
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def signal(self, number: int) -> None:
        """To the worker's main process only."""
        os.kill(self.pid, number)

    def end(self) -> None:
        """SIGKILL, if it is still there: when a test is over, nothing has to be finished any more."""
        if not self.has_ended:
            self.kill()
        self._file.close()

    def stop(self, seconds: float = 20.0) -> None:
        """SIGTERM, and SIGKILL for what is still there after that."""
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGCONT)
            self._process.terminate()
            wait_or_kill(self._process, seconds, is_group=True)
        self._file.close()


class WithWorkers:
    """An app that sends, and the workers that were started for it."""

    app: Celery
    workers: list[WorkerProcess]

    def task(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """A signature of this app."""
        return signature(name, args=args, kwargs=kwargs, app=self.app)

    @property
    def logs(self) -> str:
        """What all workers logged."""
        return "\n".join(worker.text for worker in self.workers)

    def stop(self) -> None:
        """Kill the workers and close the app."""
        for worker in self.workers:
            worker.end()
        forget_results(self.app)
        self.app.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
