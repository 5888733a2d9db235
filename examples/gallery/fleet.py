"""Start all processes of a gallery besides its web server as child processes."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mulequeue.cli.exits import sigterm_as_interrupt
from mulequeue.emulator.child_process import Child
from mulequeue.emulator.process import EmulatorProcess
from mulequeue.local.embedded_redis import start_redis
from mulequeue.local.processes import worker_command

EXAMPLES = Path(__file__).resolve().parent.parent
_KEYS = ("MULEROUTER_API_KEY", "MULEQUEUE_API_KEY")


@contextmanager
def running_fleet(
    worker_app: str, data: Path, *, before: Callable[[], None] | None = None
) -> Iterator[None]:
    """Run Redis, a worker and, without a key, an emulator of the API while the block runs.

    Their URLs are set in this process' environment, from which the web application reads them.

    :param worker_app: the app for ``celery -A``.
    :param data: the folder for all data: Redis' data, logs, files.
    :param before: called before the worker starts.
    """
    data.mkdir(parents=True, exist_ok=True)
    with sigterm_as_interrupt(), ExitStack() as stack:
        _lock(stack, data)
        os.environ["PYTHONPATH"] = os.pathsep.join(
            [str(EXAMPLES), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        if not os.environ.get("MULEQUEUE_REDIS_URL"):
            redis, os.environ["MULEQUEUE_REDIS_URL"] = start_redis(str(data), keep=True)
            stack.callback(redis.stop)
        if not any(os.environ.get(name) for name in _KEYS):
            _emulate(stack)
        if before is not None:
            before()
        _work(stack, worker_app, data)
        try:
            yield
        except KeyboardInterrupt:
            print("\nStopping …", flush=True)


def _lock(stack: ExitStack, data: Path) -> None:
    """Lock the folder: two Redis servers would overwrite each other's data."""
    file = stack.enter_context((data / "lock").open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"Another gallery uses {data}. Stop it, or choose another folder with --data.")


def _emulate(stack: ExitStack) -> None:
    emulator = stack.enter_context(EmulatorProcess())
    forbidden = "The emulator rejects prompts that contain 'forbidden'."
    emulator.faults(
        lives=[{"contains": "forbidden", "end": "failed", "code": 3001, "detail": forbidden}]
    )
    os.environ |= {
        "MULEROUTER_BASE_URL": emulator.url,
        "MULEROUTER_API_KEY": "emulator",
        "MULEQUEUE_ALLOW_PRIVATE_ADDRESSES": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    print(
        f"No key is set, so the API is an emulator on {emulator.url}. Nothing is charged.",
        flush=True,
    )


def _work(stack: ExitStack, worker_app: str, data: Path) -> None:
    log = stack.enter_context((data / "worker.log").open("ab"))
    options = (
        "--concurrency",
        "2",
        "--loglevel",
        "INFO",
        "--hostname",
        f"gallery-{os.getpid()}@%h",
    )

    def start() -> Child:
        return Child("worker", worker_command(*options, app=worker_app), output=log)

    stack.callback(_KeptRunning(start).stop)
    print(f"The worker's log is {log.name}", flush=True)


class _KeptRunning:
    """A child process that is restarted when it ends, as by systemd or a container."""

    def __init__(self, start: Callable[[], Child]) -> None:
        self._start, self._child = start, start()
        self._stops = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while True:
            self._child.process.wait()
            if self._stops.wait(1):
                return
            print(f"The {self._child.name} ended and is restarted.", flush=True)
            self._child = self._start()

    def stop(self) -> None:
        self._stops.set()
        while self._thread.is_alive():  # the thread may be starting another child
            self._child.stop()
            self._thread.join(0.2)
