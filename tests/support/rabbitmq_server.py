"""A RabbitMQ of the tests' own: free loopback ports, a temporary folder, its own port mapper."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

from kombu import Connection

from support.ports import free_port
from support.processes import wait_or_kill
from support.programs import missing
from support.waiting import wait_until

# Debian's program on PATH changes the user and the folder; the one behind it takes an environment.
_DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
QUEUES = ("celery", "mulequeue.poll", "mulequeue.wake")
"""The queues of a fleet, by their default names."""


def rabbitmq_binary() -> str:
    """The server's program; a missing one is a skip at home and a failure in CI."""
    found = str(_DEBIAN) if _DEBIAN.exists() else shutil.which("rabbitmq-server")
    if found is None or shutil.which("epmd") is None:
        missing("no rabbitmq-server on PATH (apt install rabbitmq-server)")
    return found


class RabbitServer:
    """``rabbitmq-server`` without plugins, as process groups that end with :meth:`stop`."""

    def __init__(self, folder: Path) -> None:
        binary = rabbitmq_binary()
        port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{port}//"
        plugins = folder / "enabled_plugins"
        plugins.write_text("[].\n")
        env = {
            **os.environ,
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"mulequeue{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        }
        # Started first: otherwise Erlang leaves one behind that belongs to nobody.
        self._folder, self._env, self._binary = folder, env, binary
        self._processes = [self._run("epmd")]
        self.start()

    def start(self) -> None:
        """Start it, with what its folder holds."""
        self._processes[1:] = [self._run(self._binary)]
        wait_until(self._answers, seconds=60, what="rabbitmq-server", every=0.2)

    def kill(self) -> None:
        """SIGKILL to the server and everything it started."""
        os.killpg(self._processes[-1].pid, signal.SIGKILL)
        self._processes[-1].wait()

    def _run(self, command: str) -> subprocess.Popen:
        with (self._folder / f"{Path(command).name}.log").open("ab") as log:
            return subprocess.Popen(
                [command],
                env=self._env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        log = self._folder / f"{Path(self._binary).name}.log"
        assert self._processes[-1].poll() is None, log.read_text(errors="replace")
        try:
            with Connection(self.url, connect_timeout=2) as connection:
                connection.connect()
            return True
        except OSError:
            return False

    def delete(self, *names: str) -> None:
        """Delete queues and exchanges of these names, whether they exist or not."""
        with Connection(self.url) as connection:
            channel = connection.channel()
            for name in names:
                channel.queue_delete(name)
                channel.exchange_delete(name)

    def stop(self) -> None:
        """End the server, then its port mapper."""
        for process in reversed(self._processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                wait_or_kill(process, 20, is_group=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
