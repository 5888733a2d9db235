"""A fleet in a box: Redis, emulator, worker processes, and the app that sends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import Celery, chord

from mulequeue.ledger import Ledger
from mulequeue.settings import Settings
from support import emulators
from support.redis_server import RedisServer
from support.waiting import wait_until
from support.workers import WithWorkers, WorkerProcess

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


class Fleet(WithWorkers):
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
        self.emulator = emulators.borrow(
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

    def chord(self, header: list[Any], body: Any) -> Any:
        return chord(header, body, app=self.app)

    def wait_for_state(self, task_id: str, *states: str, seconds: float = 30.0) -> Any:
        """Until the record of a task is in one of these states; the record then."""

        def look() -> Any:
            record = self.ledger.queries.record(task_id)
            return record if record is not None and record.state in states else None

        return wait_until(look, seconds=seconds, what=f"{task_id} to be {states}")

    def stop(self) -> None:
        """End all that it started."""
        super().stop()
        self.ledger.redis.close()
        emulators.give_back(self.emulator)
        self.redis.stop()
