"""The demo: a whole fleet for twenty seconds, pictures of it, and a page."""

from __future__ import annotations

import os
import secrets
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mulequeue.cli.error_line import Interrupted
from mulequeue.errors import ConfigurationError, InputError, MuleQueueError
from mulequeue.local import embedded_redis
from mulequeue.local.processes import Child, sigterm_as_interrupt, temporary_folder, worker_command
from mulequeue.settings.redaction import redact

MODEL = "alibaba/wan2.6-t2i"
MOST = 2000
TIMEOUT_SECONDS = 180.0
"""Longer than any demo takes: then something is wrong, and the worker's log is shown."""
_LOG = "worker.log"
_RESULTS_SECONDS = 600  # what is left of it on a Redis of the user's own
_NOT_SETTINGS = ("MULEQUEUE_BROKER_URL", "MULEQUEUE_RESULT_BACKEND", "NO_PROXY", "no_proxy")


def run_demo(count: int, output: str, *, as_json: bool = False) -> int:
    """Run the whole thing; the exit code.

    :param count: how many pictures.
    :param output: the folder for the pictures, ``index.html`` and the worker's log.
    :raises ConfigurationError: no Redis to be had, a package is missing, or the folder cannot be
        written.
    """
    if not 1 <= count <= MOST:
        raise InputError(f"--count is {count}; it must be from 1 to {MOST}.")
    own_url = os.environ.get("MULEQUEUE_REDIS_URL")
    if not own_url:
        embedded_redis.find_server()  # say at once that there is none
    folder = _folder(output)
    try:
        with sigterm_as_interrupt(), ExitStack() as stack:
            fleet = DemoFleet.start(stack, folder, own_url)
            return _run_batch(fleet, count, folder, output, as_json=as_json)
    except KeyboardInterrupt:
        raise Interrupted("Stopped; everything it started is gone. Again: mulequeue demo") from None


def _folder(output: str) -> Path:
    folder = Path(output).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _LOG).write_bytes(b"")
    except OSError as exc:
        raise ConfigurationError(
            f"The folder {output} cannot be written: {exc.strerror}. Give another --output."
        ) from None
    return folder


@dataclass(frozen=True, kw_only=True)
class DemoFleet:
    """What the demo runs on."""

    app: Any
    emulator: Any
    receiver: Any
    worker: Child
    folder: Path

    @classmethod
    def start(cls, stack: ExitStack, folder: Path, redis_url: str | None) -> DemoFleet:
        """Start everything; ``stack`` stops it again.

        :param redis_url: the user's own; None: start one.
        """
        from mulequeue.emulator.process import EmulatorProcess
        from mulequeue.local.demo_receiver import Receiver
        from mulequeue.transfer.notifications import new_secret

        _require_pillow()
        scratch = stack.enter_context(temporary_folder())
        name = f"demo-{secrets.token_hex(4)}"
        redis_url = _redis(stack, scratch, redis_url, name)
        secret = new_secret()
        receiver = stack.enter_context(Receiver(secret))
        emulator = stack.enter_context(EmulatorProcess(min_seconds=2.0, max_seconds=5.0))
        env = _environment(name, redis_url, emulator.url, secret, folder)
        worker = _worker(stack, env, name, scratch, folder)
        return cls(
            app=_app(env, name), emulator=emulator, receiver=receiver, worker=worker, folder=folder
        )


def _require_pillow() -> None:
    from importlib.util import find_spec

    if find_spec("PIL") is None or find_spec("av") is None:
        raise ConfigurationError(
            'The demo draws with Pillow and PyAV. Install them: pip install "mulequeue[demo]"'
        )


def _redis(stack: ExitStack, scratch: str, url: str | None, name: str) -> str:
    if url:
        from mulequeue.cli.app import check_redis

        check_redis(url)
        stack.callback(_forget, url, name)
        return url
    child, url = embedded_redis.start_redis(scratch)
    stack.callback(child.stop)
    return url


def _forget(url: str, name: str) -> None:
    """Delete the demo's ledger and queues from the user's own Redis."""
    from mulequeue.ledger import connect

    with connect(url) as client:
        keys = list(client.scan_iter(f"*{name}*", count=1000))
        if keys:
            client.unlink(*keys)


def _environment(
    name: str, redis_url: str, emulator_url: str, secret: str, folder: Path
) -> dict[str, str]:
    return {
        "MULEQUEUE_REDIS_URL": redis_url,
        "MULEQUEUE_BROKER_URL": redis_url,
        "MULEQUEUE_RESULT_BACKEND": redis_url,
        # Of its own, so that it never mixes with other work on the same Redis.
        "MULEQUEUE_FLEET": name,
        "MULEQUEUE_POLL_QUEUE": f"{name}.poll",
        "MULEQUEUE_WAKE_QUEUE": f"{name}.wake",
        "MULEQUEUE_BASE_URL": emulator_url,
        "MULEQUEUE_API_KEY": "demo-key",
        "MULEQUEUE_STORAGE": str(folder),
        "MULEQUEUE_NOTIFICATION_SECRET": secret,
        "MULEQUEUE_ALLOW_PRIVATE_ADDRESSES": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def _worker(
    stack: ExitStack, env: Mapping[str, str], name: str, scratch: str, folder: Path
) -> Child:
    concurrency = str(min(4, max(2, os.cpu_count() or 2)))
    options = ("--concurrency", concurrency, "--loglevel", "INFO", "--hostname", f"{name}@%h")
    own = ("--", f"task.default_queue={name}", f"result.expires={_RESULTS_SECONDS}")
    with (folder / _LOG).open("ab") as log:
        # In an empty folder, so that no celeryconfig.py of the user's is taken.
        command = worker_command(*options, *own)
        worker = Child("worker", command, env=env, cwd=scratch, output=log)
    stack.callback(worker.stop)
    return worker


def _app(env: Mapping[str, str], name: str) -> Any:
    """The Celery app of this process, with the worker's settings."""
    from celery import Celery

    app = Celery("mulequeue", include=["mulequeue.tasks"])
    app.config_from_object("mulequeue.recommended")
    url = env["MULEQUEUE_REDIS_URL"]
    app.conf.update(broker_url=url, result_backend=url, task_default_queue=name)
    app.conf.result_expires = _RESULTS_SECONDS
    app.conf.update({key.lower(): value for key, value in env.items() if key not in _NOT_SETTINGS})
    app.set_current()
    return app


def _run_batch(fleet: DemoFleet, count: int, folder: Path, output: str, *, as_json: bool) -> int:
    """Enqueue, watch, write the page, tell."""
    from mulequeue.cli.batch import print_summary
    from mulequeue.cli.batch_watch import missing_files, summary_of
    from mulequeue.engine.worker_context import worker_context
    from mulequeue.local.demo_page import write_page
    from mulequeue.local.demo_prompts import prompts
    from mulequeue.tasks.canvases import member_ids

    started = time.monotonic()
    watched = _watch_batch(fleet, count, started)
    summary = summary_of(watched.batch, time.monotonic() - started)
    ledger = worker_context(fleet.app).ledger
    notification = fleet.receiver.wait(10.0)
    records = ledger.queries.records(member_ids(watched.batch))
    shown = [
        (prompt, record) for prompt, record in zip(prompts(count), records, strict=True) if record
    ]
    page = write_page(folder, shown, summary, notification, fleet.emulator.stats())
    missing = missing_files(ledger, watched.batch)
    is_good = summary.succeeded == summary.submitted and not missing and notification is not None
    if not as_json:
        _print_closing(page, output, count, sys.stdout.isatty())
    print_summary(summary, output, as_json=as_json, missing=missing)
    if not is_good:
        if notification is None:
            click.echo("The notification did not arrive.", err=True)
        show_log(fleet.folder)
    return 0 if is_good else 1


def _watch_batch(fleet: DemoFleet, count: int, started: float) -> Any:
    from mulequeue.cli.batch_view import view_for
    from mulequeue.cli.batch_watch import BatchWatch, watch
    from mulequeue.engine.worker_context import worker_context
    from mulequeue.local.demo_prompts import prompts
    from mulequeue.tasks.canvases import generate_many

    batch_id = uuid.uuid4().hex[:12]
    watched = BatchWatch(worker_context(fleet.app).ledger, batch_id, count)

    def alive() -> None:
        if not fleet.worker.is_running:
            show_log(fleet.folder)
            raise MuleQueueError("The worker ended early; the end of its log is above.")

    with view_for(f"{count} generations on a fleet of its own", quiet=False) as view:
        chord = generate_many(
            MODEL,
            [{"prompt": prompt, "n": 1} for prompt in prompts(count)],
            batch_id=batch_id,
            notify=fleet.receiver.url,
        )
        chord.apply_async()
        if not watch(watched, view, max_wait=TIMEOUT_SECONDS, each_look=[alive]):
            show_log(fleet.folder)
            raise MuleQueueError("The demo did not come to an end; the worker's log is above.")
    return watched


def show_log(folder: Path, lines: int = 25) -> None:
    """The end of the worker's log, on standard error."""
    log = folder / _LOG
    for line in log.read_text("utf-8", "replace").splitlines()[-lines:]:
        click.echo(f"worker | {redact(line)}", err=True)
    click.echo(f"(the whole log: {log})", err=True)


def _print_closing(page: Path, output: str, count: int, is_terminal: bool) -> None:
    """Where to look, and what to type next."""
    bold = {"bold": True} if is_terminal else {}
    click.echo()
    click.echo(f"Look at   {click.style(page.as_uri(), **bold)}")
    click.echo("Next      export MULEROUTER_API_KEY=sk-mr-…   and then, in two terminals:")
    click.echo(f"            {click.style('mulequeue dev', **bold)}")
    click.echo(
        f"            {click.style('mulequeue batch prompts.txt --output pictures', **bold)}"
    )
    click.echo()
