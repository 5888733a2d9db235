"""Start the Redis, the workers and other programs of one contender, each with a log; stop them all."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.accounting import Meter, rss_mib, tree
from mulequeue.emulator.child_process import Child
from mulequeue.local.embedded_redis import start_redis
from mulequeue.local.processes import temporary_folder

KEY = "sk-mr-benchmark"
MODEL = "alibaba/wan2.6-t2i"
TOP = Path(__file__).parent.parent


def wait_for(check: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait until the check returns a true value, and return it; on timeout end the program."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            raise SystemExit(f"Timed out after {seconds:g} s waiting for {what}.")
        time.sleep(0.1)
    return found


class Fleet:
    """One Redis and the processes that use it."""

    def __init__(self, stack: ExitStack, folder: Path, api: str) -> None:
        self._stack, self.folder, self.api = stack, folder, api
        self._redis_child, self.url = start_redis(str(folder))
        stack.callback(self._redis_child.stop)
        self.redis = Redis.from_url(self.url)
        self.env = {
            "MULEQUEUE_REDIS_URL": self.url,
            "MULEROUTER_API_KEY": KEY,
            "MULEROUTER_BASE_URL": api,
            "MULEQUEUE_ALLOW_PRIVATE_ADDRESSES": "1",
            "MULEQUEUE_STORAGE": str(folder / "files"),
            "BENCH_REDIS": self.url,
            "BENCH_API": api,
            "PYTHONPATH": str(TOP),
        }

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a program and wait until its log contains ``ready``."""
        log = self.folder / f"{name}.log"
        output = self._stack.enter_context(log.open("wb"))
        child = Child(
            name, command, env={**self.env, **(env or {})}, cwd=self.folder, output=output
        )
        self._stack.callback(child.stop)
        if ready:
            try:
                wait_for(lambda: ready in log.read_bytes(), 60, f"{name} to be ready")
            except SystemExit:
                sys.stderr.write(log.read_text("utf-8", "replace")[-2000:])
                raise
        return child

    def worker(
        self,
        name: str,
        *options: str,
        app: str = "mulequeue",
        env: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a Celery worker at log level INFO, as a user does."""
        node = ("-n", f"{name}@bench")
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-l", "INFO", *node]
        return self.start(name, [*command, *options], ready=b" ready.", env=env)

    def poller(self, name: str = "poller", env: Mapping[str, str] | None = None) -> Child:
        """Start the poller process of a fleet."""
        return self.worker(name, "-c", "1", "-Q", "mulequeue.poll,mulequeue.wake", env=env)

    def log(self, name: str) -> str:
        """Return the log of a program."""
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")

    def meter(self, *children: Child) -> Meter:
        """Start to measure the CPU time of these processes and of Redis."""
        return Meter.start([pid_of(child) for child in children], [pid_of(self._redis_child)])

    def counts(self) -> dict[str, int]:
        """Return the number of records by state and outcome."""
        found: dict[bytes, bytes] = self.redis.hgetall("mulequeue:{default}:counts")  # type: ignore[assignment]
        return {name.decode(): int(value) for name, value in found.items()}

    def used_bytes(self) -> int:
        """Return the memory that Redis uses."""
        return self._info("memory", "used_memory")

    def commands(self) -> int:
        """Return the number of commands that Redis has run, including those in scripts."""
        return self._info("stats", "total_commands_processed")

    def connections(self) -> int:
        """Return the number of open connections to Redis."""
        return self._info("clients", "connected_clients")

    def _info(self, section: str, name: str) -> int:
        info: dict[str, Any] = self.redis.info(section)  # type: ignore[assignment]
        return int(info[name])


def pid_of(child: Child) -> int:
    """Return the process id of the program itself, not of the guard process that started it."""
    return wait_for(lambda: [item.pid for item in tree(child.process.pid)[1:2]], 10, child.name)[0]


def rss_of(child: Child) -> float:
    """Return the memory of a program and its children in MiB."""
    return rss_mib([pid_of(child)])


@contextmanager
def run_fleet(api: str) -> Iterator[Fleet]:
    """Run an empty fleet on a new Redis while the block runs.

    :param api: the base URL of the API.
    """
    with temporary_folder() as name, ExitStack() as stack:
        yield Fleet(stack, Path(name), api)


def cores() -> int:
    """Return the number of cores of this machine."""
    return os.cpu_count() or 1


def cpu_model() -> str:
    """Return the name of this machine's processor, or an empty text."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor()
