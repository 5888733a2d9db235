"""``mulequeue dev``: a fleet in the foreground, for one person on one machine."""

from __future__ import annotations

import fcntl
import json
import os
import queue
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from redis import Redis

from mulequeue.cli.exits import sigterm_as_interrupt
from mulequeue.cli.preflight import CONNECT_SECONDS, app_of, name_of, redis_problem, settings_of
from mulequeue.emulator.child_process import Child, stop_all
from mulequeue.emulator.process import EmulatorProcess
from mulequeue.errors import ConfigurationError
from mulequeue.ledger.probe import probe_connection
from mulequeue.local.embedded_redis import start_redis
from mulequeue.local.processes import free_port, worker_command
from mulequeue.settings import DEFAULT_REDIS_URL, Settings
from mulequeue.settings.environment import read_variable
from mulequeue.settings.redaction import redact

FOLDER = ".mulequeue"
EMULATOR_PORT = 8787
REDIS_PORT = 6390
"""Not 6379, the default of Redis, which another project may use."""
STANDALONE = "mulequeue"
"""The argument of ``celery -A`` for the app of :mod:`mulequeue.celery`."""
_COLOURS = {"worker": "cyan", "poller": "green"}
_MAX_MESSAGES = 1000
_PRIORITY_STEPS = ("", "\x06\x163", "\x06\x166", "\x06\x169")
"""Suffixes of the lists in which kombu keeps a queue: one list per priority."""


@click.command("dev")
@click.option("--concurrency", default=4, show_default=True, metavar="N", help="Worker slots.")
@click.option(
    "--redis",
    metavar="URL",
    help="Use this Redis.  [default: MULEQUEUE_REDIS_URL or the project's, else a new one]",
)
@click.pass_context
def dev_command(ctx: click.Context, concurrency: int, redis: str | None) -> None:
    """Run a worker and a poller in the foreground, with a Redis and an emulated API if needed.

    Unless a Redis is configured it starts one that keeps its data in .mulequeue/, so generations
    continue at the next start. A Redis that another project uses is refused. Without an API key it
    starts the emulator. Ctrl-C stops everything.
    """
    app = app_of(ctx)
    settings, name = settings_of(app), name_of(app)
    with sigterm_as_interrupt(), ExitStack() as stack:
        try:
            if redis and name != STANDALONE:
                raise ConfigurationError(
                    "--redis works without -A only: set broker_url of the app."
                )
            given = redis or _configured_url(settings, name)
            url = _own_redis(stack) if given is None else _given_redis(stack, given, app, name)
            api = {} if settings.api_key else _emulator(stack)
            env = {"MULEQUEUE_REDIS_URL": url, "PYTHONUNBUFFERED": "1", **api}
            ended = _workers(stack, settings, name, concurrency, env)
            _print_environment(url, api)
            click.echo(f"The {ended.get()} ended unexpectedly; stopping the others.", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("\nStopping …", err=True)


def _configured_url(settings: Settings, name: str) -> str | None:
    """Return the URL of the app's Redis, or None if ``-A`` is not given and only the default applies."""
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
    # The same port at each start if possible, so that other terminals keep their MULEQUEUE_REDIS_URL.
    return _start_redis(stack, folder, REDIS_PORT if _is_free(REDIS_PORT) else free_port())


def _given_redis(stack: ExitStack, url: str, app: Any, name: str) -> str:
    """Return ``url``, after starting a Redis at its port if it is local and does not answer.

    :raises ConfigurationError: another project uses the Redis, or the Redis does not answer and is on another
        machine or has a password.
    """
    problem = redis_problem(url)
    if problem is None:
        with probe_connection(url, CONNECT_SECONDS) as client:
            reason = _foreign_use(client, app, is_shared=name != STANDALONE)
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


def _foreign_use(client: Redis, app: Any, *, is_shared: bool) -> str | None:
    """Return why a worker of this app must not consume from this Redis, or None.

    A worker discards messages of tasks that it does not know.

    :param client: a client that returns bytes.
    :param is_shared: True: other queues may belong to the same project, so only messages are checked.
    """
    app.loader.import_default_modules()
    queue = app.conf.task_default_queue
    unknown = sorted({name for name in _task_names(client, queue) if name not in app.tasks})
    if unknown:
        return (
            f"its queue {queue!r} holds messages of tasks that this app does not have "
            f"({', '.join(unknown[:3])}), and a worker would discard them"
        )
    if is_shared:
        return None
    prefix = "_kombu.binding."
    queues = {key.decode("utf-8", "replace") for key in client.scan_iter(f"{prefix}*", count=1000)}
    names = sorted(name.removeprefix(prefix) for name in queues)
    if names and not any(name.startswith("mulequeue.") for name in names):
        return f"another Celery project uses it (queues {', '.join(names[:3])})"
    return None


def _task_names(client: Redis, queue: str) -> Iterator[str]:
    for step in _PRIORITY_STEPS:
        key = f"{queue}{step}"
        if client.type(key) != b"list":
            continue
        for message in client.lrange(key, -_MAX_MESSAGES, -1):
            try:
                name = json.loads(message)["headers"]["task"]
            except (ValueError, LookupError, TypeError):
                continue  # a message of a program that is not Celery
            yield str(name)


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
    """Start the emulator and return the environment variables with its URL and a key."""
    ports = [EMULATOR_PORT, 0] if _is_free(EMULATOR_PORT) else [0]
    for port in ports:  # another program may take the port after the check
        with suppress(RuntimeError):
            url = stack.enter_context(EmulatorProcess(port=port)).url
            click.echo(f"emulator | started on {url}", err=True)
            return {"MULEROUTER_BASE_URL": url, "MULEROUTER_API_KEY": "emulator"}
    raise ConfigurationError("The emulator did not start; its output is above.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _workers(
    stack: ExitStack, settings: Settings, app: str, concurrency: int, env: dict[str, str]
) -> queue.SimpleQueue[str]:
    """Start a worker, and a poller so that a backlog of submissions does not delay the polling.

    :returns: a queue that gets the name of each process that ends.
    """
    internal = f"{settings.poll_queue},{settings.wake_queue}"
    pid = os.getpid()
    options = {
        "worker": ("--concurrency", str(concurrency)),
        "poller": ("--concurrency", "2", "-Q", internal),
    }
    children: list[Child] = []
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    stack.callback(stop_all, children)
    for name, own_options in options.items():
        host = ("--hostname", f"{name}-{pid}@%h", "--loglevel", "INFO")
        command = worker_command(*own_options, *host, app=app)
        children.append(Child(name, command, env=env, output=subprocess.PIPE))
        threading.Thread(target=_show, args=(children[-1], ended), daemon=True).start()
    return ended


def _show(child: Child, ended: queue.SimpleQueue[str]) -> None:
    """Print the output of a child, each line after the child's name; then put the name into ``ended``."""
    prefix = click.style(f"{child.name:<8} | ", fg=_COLOURS[child.name])
    assert child.process.stdout is not None
    for raw in child.process.stdout:
        if line := clean_line(raw.decode("utf-8", "replace")):
            click.echo(f"{prefix}{line}", err=True)
    child.process.wait()
    ended.put(child.name)


def clean_line(line: str) -> str:
    """Return a worker's log line without time, process name and task result, and without the level INFO.

    A "Task … received" line becomes empty.
    """
    line = re.sub(r"^\[[^]]*?: INFO/[^]]*\] ", "", line.rstrip())
    line = re.sub(r"^\[[^]]*?: (\w+)/[^]]*\] ", r"\1 ", line)
    if re.fullmatch(r"Task \S+ received", line):
        return ""
    return re.sub(r"^(Task \S+ succeeded in [\d.]{1,5})[\d.e-]*s: .*", r"\1 s", line)


def _print_environment(url: str, api: dict[str, str]) -> None:
    """Print the variables and the command for another terminal."""
    is_secret = "@" in url
    shown = {} if is_secret or url == DEFAULT_REDIS_URL else {"MULEQUEUE_REDIS_URL": url}
    lines = [f"export {name}={value}" for name, value in {**shown, **api}.items()]
    if api:
        click.echo("No API key is set, so the API is an emulator and nothing is billed.")
    click.echo("In another terminal:\n")
    for line in (*lines, 'mulequeue run alibaba/wan2.6-t2i "a mule at dawn" -p n=1'):
        click.echo(f"  {line}")
    click.echo()
