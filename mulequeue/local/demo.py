"""``mulequeue demo``: run a whole fleet for about 20 s, and write its pictures and a page that shows them."""

from __future__ import annotations

import os
import secrets
import sys
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from celery import Celery

from mulequeue.cli.costs import cost_of_batch
from mulequeue.cli.exits import Interrupted, sigterm_as_interrupt
from mulequeue.cli.options import json_option
from mulequeue.cli.preflight import check_redis
from mulequeue.cli.results import SUMMARY_HELP, missing_files, print_summary
from mulequeue.cli.watch import WatchOptions, watch
from mulequeue.cli.watch_batch import BatchWatch
from mulequeue.emulator.child_process import Child
from mulequeue.emulator.process import EmulatorProcess
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import ConfigurationError, InputError, MuleQueueError
from mulequeue.ledger import Ledger, connect
from mulequeue.local import embedded_redis
from mulequeue.local.demo_page import write_page
from mulequeue.local.demo_prompts import prompts
from mulequeue.local.processes import temporary_folder, worker_command
from mulequeue.settings.environment import read_variable
from mulequeue.settings.redaction import redact
from mulequeue.tasks.batch_ids import member_ids
from mulequeue.tasks.canvases import generate_many
from mulequeue.testing.notification_recorder import Notification, Notifications
from mulequeue.transfer.notifications import new_secret

MODEL = "alibaba/wan2.6-t2i"
MAX_COUNT = 2000
MAX_WAIT_SECONDS = 180.0
"""Time limit, longer than a demo takes. After it the command fails and prints the worker's log."""
_LOG = "worker.log"
_STOPPED = "Stopped; all its processes have ended. Again: mulequeue demo"
_RESULTS_SECONDS = 600  # on the user's Redis, results that the cleanup missed expire after this


@click.command("demo", epilog=SUMMARY_HELP)
@click.option("--count", default=12, show_default=True, metavar="N", help="Number of images.")
@click.option(
    "--output", default="demo-output", show_default=True, metavar="DIR", help="Output folder."
)
@json_option
@click.pass_context
def demo_command(ctx: click.Context, count: int, output: str, as_json: bool) -> None:
    """Run a complete fleet on this machine, without a key: Redis, worker and an emulated API.

    N prompts become a batch of generations. Each is submitted, polled and downloaded, and a signed
    notification follows when all are done. The images and a page that shows them stay in DIR;
    everything else is removed.
    """
    if not 1 <= count <= MAX_COUNT:
        raise InputError(f"--count is {count}; it must be from 1 to {MAX_COUNT}.")
    redis_url = read_variable("MULEQUEUE_REDIS_URL")
    if not redis_url:
        embedded_redis.find_server()  # fail before anything is started
    folder = _folder(output)
    try:
        with sigterm_as_interrupt(), ExitStack() as stack:
            fleet = DemoFleet.start(stack, folder, redis_url)
            ctx.exit(_run_batch(fleet, count, output, as_json=as_json))
    except KeyboardInterrupt:
        raise Interrupted(_STOPPED) from None


def _folder(output: str) -> Path:
    folder = Path(output).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _LOG).write_bytes(b"")
    except OSError as exc:
        raise ConfigurationError(
            f"Cannot write to the folder {output}: {exc.strerror}. Set another --output."
        ) from None
    return folder


@dataclass(frozen=True, kw_only=True)
class DemoFleet:
    """The processes of the demo, and the ledger that they use."""

    ledger: Ledger
    emulator: EmulatorProcess
    notifications: Notifications
    worker: Child
    folder: Path

    @classmethod
    def start(cls, stack: ExitStack, folder: Path, redis_url: str | None) -> DemoFleet:
        """Start all processes, and a Redis if ``redis_url`` names none; ``stack`` stops them."""
        if find_spec("PIL") is None or find_spec("av") is None:
            raise ConfigurationError(
                'The demo needs Pillow and PyAV. Install them: pip install "mulequeue[demo]"'
            )
        scratch = stack.enter_context(temporary_folder())
        name = f"demo-{secrets.token_hex(4)}"
        redis_url = _redis(stack, scratch, redis_url, name)
        secret = new_secret()
        notifications = Notifications(secret)
        stack.callback(notifications.close)
        emulator = stack.enter_context(EmulatorProcess(min_seconds=2.0, max_seconds=5.0))
        os.environ |= _environment(name, redis_url, emulator.url, secret, folder)
        worker = _worker(stack, name, scratch, folder)
        return cls(
            ledger=worker_context(_app(name)).ledger,
            emulator=emulator,
            notifications=notifications,
            worker=worker,
            folder=folder,
        )

    def notification(self) -> Notification | None:
        """Return the first notification, or None if none arrives within 10 s."""
        try:
            return self.notifications.wait(timeout_seconds=10.0)[0]
        except TimeoutError:
            return None

    def print_log(self, lines: int = 25) -> None:
        """Print the last lines of the worker's log to standard error."""
        log = self.folder / _LOG
        for line in log.read_text("utf-8", "replace").splitlines()[-lines:]:
            click.echo(f"worker | {redact(line)}", err=True)
        click.echo(f"(the whole log: {log})", err=True)


def _redis(stack: ExitStack, scratch: str, url: str | None, name: str) -> str:
    if url:
        check_redis(url)
        stack.callback(_delete_keys, url, name)
        return url
    child, url = embedded_redis.start_redis(scratch)
    stack.callback(child.stop)
    return url


def _delete_keys(url: str, name: str) -> None:
    """Delete the demo's ledger and queues from the user's Redis."""
    with connect(url) as client:
        keys = list(client.scan_iter(f"*{name}*", count=1000))
        if keys:
            client.unlink(*keys)


def _environment(
    name: str, redis_url: str, emulator_url: str, secret: str, folder: Path
) -> dict[str, str]:
    """Return the settings of the worker and of this process, as environment variables."""
    return {
        "MULEQUEUE_REDIS_URL": redis_url,
        "MULEQUEUE_BROKER_URL": redis_url,
        "MULEQUEUE_RESULT_BACKEND": redis_url,
        # A separate fleet with separate queues, because the Redis may be the user's.
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


def _worker(stack: ExitStack, name: str, scratch: str, folder: Path) -> Child:
    concurrency = str(min(4, max(2, os.cpu_count() or 2)))
    options = ("--concurrency", concurrency, "--loglevel", "INFO", "--hostname", f"{name}@%h")
    settings = ("--", f"task.default_queue={name}", f"result.expires={_RESULTS_SECONDS}")
    with (folder / _LOG).open("ab") as log:
        # In the temporary folder, so that the worker does not import the user's celeryconfig.py.
        command = worker_command(*options, *settings)
        worker = Child("worker", command, cwd=scratch, output=log)
    stack.callback(worker.stop)
    return worker


def _app(name: str) -> Any:
    """Return the Celery app of this process, which ignores the user's celeryconfig.py like the worker."""
    app = Celery("mulequeue", include=["mulequeue.tasks"])
    app.config_from_object("mulequeue.recommended")
    app.conf.update(task_default_queue=name, result_expires=_RESULTS_SECONDS)
    app.set_current()
    return app


def _run_batch(fleet: DemoFleet, count: int, output: str, *, as_json: bool) -> int:
    """Enqueue the batch, watch it, write the page, print the summary, and return the exit code."""
    started = time.monotonic()
    watched = _watch_batch(fleet, count)
    seconds = time.monotonic() - started
    notification = fleet.notification()
    records = fleet.ledger.queries.records(member_ids(watched.batch))
    pairs = zip(prompts(count), records, strict=True)
    shown = [(prompt, record) for prompt, record in pairs if record]
    page = write_page(fleet.folder, shown, seconds, notification, fleet.emulator.stats())
    if not as_json:
        _print_closing(page)
    missing = missing_files(record for _, record in shown)
    cost = cost_of_batch(fleet.ledger, watched.batch)
    code = print_summary(watched.batch, seconds, output, cost, as_json=as_json, missing=missing)
    if notification is None:
        click.echo("The notification did not arrive.", err=True)
        code = 1
    if code:
        fleet.print_log()
    return code


def _watch_batch(fleet: DemoFleet, count: int) -> BatchWatch:
    """Enqueue the batch, and watch it until it is over."""
    batch_id = uuid.uuid4().hex[:12]
    watched = BatchWatch(fleet.ledger, batch_id, count)

    def check_worker(_: object) -> None:
        if not fleet.worker.is_running:
            fleet.print_log()
            raise MuleQueueError("The worker ended early; the end of its log is above.")

    generate_many(
        MODEL,
        [{"prompt": prompt, "n": 1} for prompt in prompts(count)],
        batch_id=batch_id,
        notify=fleet.notifications.url,
    ).apply_async()
    is_over = watch(
        watched,
        f"{count} generations on a temporary fleet",
        WatchOptions(max_wait=MAX_WAIT_SECONDS),
        interrupted=_STOPPED,
        checks=[check_worker],
    )
    if not is_over:
        fleet.print_log()
        raise MuleQueueError(
            f"The demo did not finish in {MAX_WAIT_SECONDS:g} s; the worker's log is above."
        )
    return watched


def _print_closing(page: Path) -> None:
    """Print the address of the page, and the commands to try next."""
    bold = {"bold": True} if sys.stdout.isatty() else {}
    batch = "mulequeue batch prompts.txt --param n=1 --output pictures"
    click.echo(
        f"\nOpen      {click.style(page.as_uri(), **bold)}\n"
        "Next      export MULEROUTER_API_KEY=sk-mr-…   and then, in two terminals:\n"
        f"            {click.style('mulequeue dev', **bold)}\n"
        f"            {click.style(batch, **bold)}\n"
    )
