"""A fleet in a box: Redis, emulator, worker processes, and the app that sends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import psutil
from celery import Celery, chord, signature

from mulequeue.emulator.process import EmulatorProcess
from mulequeue.ledger import Ledger
from mulequeue.settings import Settings
from support.redis_server import RedisServer
from support.results import forget_results
from support.waiting import wait_until

KEY = "sk-mr-" + "0123456789abcdef" * 4
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def environment(more: dict[str, str]) -> dict[str, str]:
    """The environment of a process under test: this one's without a developer's own settings."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MULEQUEUE_", "MULEROUTER_", "CELERY_"))
        and name.upper() not in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    }
    tests = str(Path(__file__).parent.parent)
    path = os.pathsep.join([tests, clean.get("PYTHONPATH", "")])
    return {**clean, "PYTHONPATH": path, **more}


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
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._file.close()


class Fleet:
    """Everything one test needs, with counters that are taken outside of mulequeue.

    :param env: more environment of the workers.
    :param conf: settings of the sending app; workers are configured by ``env`` and ``celeryconfig``.
    :param celeryconfig: lines after ``from mulequeue.recommended import *`` in the workers' config.
    """

    def __init__(
        self,
        folder: Path,
        *,
        min_seconds: float = 0.2,
        max_seconds: float = 0.5,
        persistent: bool = False,
        env: dict[str, str] | None = None,
        celeryconfig: str = "",
        emulator: dict[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.redis = RedisServer(folder, persistent=persistent)
        self.emulator = EmulatorProcess(
            min_seconds=min_seconds, max_seconds=max_seconds, **(emulator or {})
        )
        self.storage = folder / "files"
        self.workers: list[WorkerProcess] = []
        (folder / "celeryconfig.py").write_text(
            f"from mulequeue.recommended import *\n{celeryconfig}\n"
        )
        self.env = self._environment(env or {})
        self.app = self._make_app()
        self.ledger = Ledger.of(Settings.load(self.app))

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return environment(
            {
                "MULEQUEUE_REDIS_URL": self.redis.url,
                "MULEROUTER_API_KEY": KEY,
                "MULEROUTER_BASE_URL": self.emulator.url,
                "MULEQUEUE_STORAGE": str(self.storage),
                "MULEQUEUE_NOTIFICATION_SECRET": SECRET,
                **more,
            }
        )

    def _make_app(self) -> Celery:
        app = Celery("sender", set_as_current=True)
        app.config_from_object("mulequeue.recommended")
        app.conf.update(
            broker_url=self.redis.url,
            result_backend=self.redis.url,
            mulequeue_redis_url=self.redis.url,
            mulequeue_api_key=KEY,
            mulequeue_base_url=self.emulator.url,
            mulequeue_storage=str(self.storage),
            mulequeue_notification_secret=SECRET,
        )
        return app

    def worker(self, *options: str, name: str | None = None, wait: bool = True) -> WorkerProcess:
        """Start a worker; two prefork processes unless the options say otherwise."""
        given = ["-I", "support.user_tasks", *options]
        if not any(option.startswith(("-c", "--concurrency")) for option in given):
            given += ["-c", "2"]
        worker = WorkerProcess(name or f"w{len(self.workers)}", self.env, self.folder, given)
        self.workers.append(worker)
        if wait:
            worker.wait_ready()
        return worker

    def task(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """A signature of this fleet's app."""
        return signature(name, args=args, kwargs=kwargs, app=self.app)

    def chord(self, header: list[Any], body: Any) -> Any:
        return chord(header, body, app=self.app)

    def wait_for_state(self, task_id: str, *states: str, seconds: float = 30.0) -> Any:
        """Until the record of a task is in one of these states; the record then."""

        def look() -> Any:
            record = self.ledger.record(task_id)
            return record if record is not None and record.state in states else None

        return wait_until(look, seconds=seconds, what=f"{task_id} to be {states}")

    @property
    def logs(self) -> str:
        """What all workers logged."""
        return "\n".join(worker.text for worker in self.workers)

    def stop(self) -> None:
        for worker in self.workers:
            worker.end()
        forget_results(self.app)
        self.app.close()
        self.ledger.redis.close()
        self.emulator.stop()
        self.redis.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
