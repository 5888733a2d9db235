"""``mulequeue dev``: a fleet in the foreground, for one person on one machine."""

from __future__ import annotations

import fcntl
import os
import queue
import re
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from mulequeue.cli.exits import sigterm_as_interrupt
from mulequeue.cli.preflight import CONNECT_SECONDS, redis_problem
from mulequeue.emulator.child_process import Child, stop_all
from mulequeue.errors import ConfigurationError
from mulequeue.ledger.probe import probe_connection
from mulequeue.local.embedded_redis import start_redis
from mulequeue.local.foreign_queues import foreign_use
from mulequeue.local.processes import free_port, worker_command
from mulequeue.settings import DEFAULT_REDIS_URL, Settings
from mulequeue.settings.environment import read_variable
from mulequeue.settings.redaction import redact

FOLDER = ".mulequeue"
EMULATOR_PORT = 8787
REDIS_PORT = 6390
"""Not Redis' own port, which another project may use."""
STANDALONE = "mulequeue"
"""The argument of ``celery -A`` for the app of :mod:`mulequeue.celery`."""
_COLOURS = {"emulator": "magenta", "worker": "cyan", "poller": "green"}
_EMULATOR_READY = "mulequeue emulator on "
_READY_SECONDS = 60.0


def run_dev(settings: Settings, app: Any, name: str, concurrency: int, redis: str | None) -> int:
    """Run until Ctrl-C, or until the worker or the poller ends, and return the exit code.

    :param name: the argument of ``celery -A`` for the app.
    :param redis: URL of the Redis to use; None: the one that the project configures, else a new one.
    :raises ConfigurationError: another project uses the Redis, or none can be started.
    """
    with sigterm_as_interrupt(), ExitStack() as stack:
        try:
            if redis and name != STANDALONE:
                raise ConfigurationError(
                    "--redis works without -A only: set broker_url of the app."
                )
            given = redis or _configured_url(settings, name)
            url = _own_redis(stack) if given is None else _given_redis(stack, given, app, name)
            env = {"MULEQUEUE_REDIS_URL": url, "PYTHONUNBUFFERED": "1"}
            if not settings.api_key:
                env |= _emulator(stack)
            children = _workers(settings, name, concurrency, env)
            stack.callback(stop_all, children)
            _print_environment(env)
            return _until_one_ends(children)
        except KeyboardInterrupt:
            click.echo("\nStopping …", err=True)
            return 0


def _configured_url(settings: Settings, name: str) -> str | None:
    """Return the URL of the Redis that the user configured; None: only defaults apply."""
    is_given = name != STANDALONE or read_variable("MULEQUEUE_REDIS_URL")
    return settings.redis_url if is_given or settings.redis_url != DEFAULT_REDIS_URL else None


def _own_redis(stack: ExitStack) -> str:
    """Start a Redis that keeps its data in this folder, and return its URL.

    :raises ConfigurationError: this command runs in this folder already, or no Redis can be started.
    """
    folder = _folder()
    lock = stack.enter_context((folder / "lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigurationError(
            f"mulequeue dev runs in this folder already (its data is in {FOLDER}/). Use that one, or "
            "start this one in another folder."
        ) from None
    # The same port as last time, so that other terminals keep their MULEQUEUE_REDIS_URL.
    return _start_redis(stack, folder, REDIS_PORT if _is_free(REDIS_PORT) else free_port())


def _given_redis(stack: ExitStack, url: str, app: Any, name: str) -> str:
    """Return the URL of a Redis that answers; start one if a local Redis does not answer.

    :raises ConfigurationError: another project uses it, or it does not answer and is not local.
    """
    problem = redis_problem(url)
    if problem is None:
        with probe_connection(url, CONNECT_SECONDS) as client:
            reason = foreign_use(client, app, is_shared=name != STANDALONE)
        if reason is not None:
            raise ConfigurationError(
                f"{redact(url)} is not used: {reason}. Name another database, for example "
                "--redis redis://127.0.0.1:6379/5, or unset MULEQUEUE_REDIS_URL: this command then "
                "starts a Redis of its own."
            )
        return url
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1") or parts.password:
        raise ConfigurationError(
            f"The configured Redis does not answer: {problem}. Start it. Or unset "
            "MULEQUEUE_REDIS_URL: this command then starts a Redis on this machine."
        )
    _start_redis(stack, _folder(), parts.port or 6379)
    return url


def _folder() -> Path:
    folder = Path(FOLDER).resolve()
    folder.mkdir(exist_ok=True)
    return folder


def _start_redis(stack: ExitStack, folder: Path, port: int) -> str:
    child, url = start_redis(str(folder), port=port, keep=True)
    stack.callback(child.stop)
    click.echo(f"redis    | started on port {port}, data in {FOLDER}/", err=True)
    return url


def _emulator(stack: ExitStack) -> dict[str, str]:
    """Start the emulator and return the environment variables that point at it."""
    ports = [EMULATOR_PORT, free_port()] if _is_free(EMULATOR_PORT) else [free_port()]
    for port in ports:  # another program may take the port after the look
        command = [sys.executable, "-m", "mulequeue.emulator", "--port", str(port)]
        child = Child("emulator", command, output=subprocess.PIPE, env={"PYTHONUNBUFFERED": "1"})
        stack.callback(child.stop)
        ready = threading.Event()
        _show(child, when=(_EMULATOR_READY, ready))
        if ready.wait(_READY_SECONDS) and child.is_running:
            return {
                "MULEROUTER_BASE_URL": f"http://127.0.0.1:{port}",
                "MULEROUTER_API_KEY": "emulator",
            }
    raise ConfigurationError("The emulator did not start; its output is above.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _workers(settings: Settings, app: str, concurrency: int, env: dict[str, str]) -> list[Child]:
    """Start a worker, and a poller so that a backlog of submissions does not delay the polling."""
    internal = f"{settings.poll_queue},{settings.wake_queue}"
    pid = os.getpid()
    options = {
        "worker": ("--concurrency", str(concurrency)),
        "poller": ("--concurrency", "2", "-Q", internal),
    }
    children = []
    for name, own_options in options.items():
        host = ("--hostname", f"{name}-{pid}@%h", "--loglevel", "INFO")
        command = worker_command(*own_options, *host, app=app)
        children.append(Child(name, command, env=env, output=subprocess.PIPE))
        _show(children[-1])
    return children


def _show(child: Child, when: tuple[str, threading.Event] | None = None) -> None:
    """Print the output of a child, each line after its name.

    :param when: a text, and an event to set when the child has written it or has ended.
    """
    prefix = click.style(f"{child.name:<8} | ", fg=_COLOURS.get(child.name))

    def pump() -> None:
        assert child.process.stdout is not None
        for raw in child.process.stdout:
            line = clean_line(raw.decode("utf-8", "replace"))
            if when is not None and when[0] in line:
                when[1].set()
            if line:
                click.echo(f"{prefix}{line}", err=True)
        child.process.wait()
        if when is not None:
            when[1].set()

    threading.Thread(target=pump, name=f"log-{child.name}", daemon=True).start()


def clean_line(line: str) -> str:
    """Return a worker's log line without time, process and task results.

    A "Task … received" line becomes empty.
    """
    line = re.sub(r"^\[[^]]*?: INFO/[^]]*\] ", "", line.rstrip())
    line = re.sub(r"^\[[^]]*?: (\w+)/[^]]*\] ", r"\1 ", line)
    if re.fullmatch(r"Task \S+ received", line):
        return ""
    return re.sub(r"^(Task \S+ succeeded in [\d.]{1,5})[\d.e-]*s: .*", r"\1 s", line)


def _print_environment(env: dict[str, str]) -> None:
    """Print the variables and the command for another terminal."""
    lines = [f"export {name}={value}" for name, value in env.items() if _is_exported(name, value)]
    if "MULEROUTER_BASE_URL" in env:
        click.echo("No API key is set, so the API is an emulator and nothing is billed.")
    click.echo("In another terminal:\n")
    for line in (*lines, 'mulequeue run alibaba/wan2.6-t2i "a mule at dawn" -p n=1'):
        click.echo(f"  {line}")
    click.echo()


def _is_exported(name: str, value: str) -> bool:
    if name == "MULEQUEUE_REDIS_URL":
        return value != DEFAULT_REDIS_URL and "@" not in value
    return name.startswith("MULE")


def _until_one_ends(children: list[Child]) -> int:
    ended: queue.SimpleQueue[Child] = queue.SimpleQueue()

    def wait_for(child: Child) -> None:
        child.process.wait()
        ended.put(child)

    for child in children:
        threading.Thread(target=wait_for, args=(child,), daemon=True).start()
    click.echo(f"The {ended.get().name} ended unexpectedly; stopping the others.", err=True)
    return 1
