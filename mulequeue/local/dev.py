"""``mulequeue dev``: a fleet in the foreground, for one person on one machine."""

from __future__ import annotations

import os
import queue
import re
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import click

from mulequeue.cli.preflight import redis_problem
from mulequeue.emulator.child_process import Child, stop_all
from mulequeue.errors import ConfigurationError
from mulequeue.local.embedded_redis import start_redis
from mulequeue.local.processes import free_port, sigterm_as_interrupt, worker_command
from mulequeue.settings import Settings

FOLDER = ".mulequeue"
EMULATOR_PORT = 8787
_COLOURS = {"emulator": "magenta", "worker": "cyan", "poller": "green"}
_EMULATOR_READY = "mulequeue emulator on "
_READY_SECONDS = 20.0


def run_dev(settings: Settings, app: str, concurrency: int) -> int:
    """Run until Ctrl-C, or until the worker or the poller ends, and return the exit code.

    :param app: the argument of ``celery -A``.
    :raises ConfigurationError: no Redis answers and none can be started.
    """
    with sigterm_as_interrupt(), ExitStack() as stack:
        try:
            env = {"MULEQUEUE_REDIS_URL": _redis(stack, settings), "PYTHONUNBUFFERED": "1"}
            if not settings.api_key:
                env |= _emulator(stack)
            children = _workers(settings, app, concurrency, env)
            stack.callback(stop_all, children)
            _print_environment(env)
            return _until_one_ends(children)
        except KeyboardInterrupt:
            click.echo("\nStopping …", err=True)
            return 0


def _redis(stack: ExitStack, settings: Settings) -> str:
    """Return the URL of a Redis that answers; start one if a local Redis does not answer."""
    url = settings.redis_url
    problem = redis_problem(url)
    if problem is None:
        return url
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1") or parts.password:
        raise ConfigurationError(
            f"The configured Redis does not answer: {problem}. Start it. Or unset "
            "MULEQUEUE_REDIS_URL: this command then starts a Redis on this machine."
        )
    folder = Path(FOLDER).resolve()
    folder.mkdir(exist_ok=True)
    child, _ = start_redis(str(folder), port=parts.port or 6379, keep=True)
    stack.callback(child.stop)
    click.echo(f"redis    | started on port {parts.port or 6379}, data in {FOLDER}/", err=True)
    return url


def _emulator(stack: ExitStack) -> dict[str, str]:
    """Start the emulator and return the environment variables that point at it."""
    port = EMULATOR_PORT if _is_free(EMULATOR_PORT) else free_port()
    command = [sys.executable, "-m", "mulequeue.emulator", "--port", str(port)]
    child = Child("emulator", command, output=subprocess.PIPE, env={"PYTHONUNBUFFERED": "1"})
    stack.callback(child.stop)
    ready = threading.Event()
    _show(child, when=(_EMULATOR_READY, ready))
    if not ready.wait(_READY_SECONDS) or not child.is_running:
        raise ConfigurationError("The emulator did not start; its output is above.")
    return {
        "MULEROUTER_BASE_URL": f"http://127.0.0.1:{port}",
        "MULEROUTER_API_KEY": "emulator",
    }


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
    for line in (*lines, 'mulequeue run alibaba/wan2.6-t2i "a mule at dawn"'):
        click.echo(f"  {line}")
    click.echo()


def _is_exported(name: str, value: str) -> bool:
    if name == "MULEQUEUE_REDIS_URL":
        from mulequeue.settings import DEFAULT_REDIS_URL

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
