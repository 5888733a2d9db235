"""Checks while something is watched, for :func:`.watch.watch`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mulequeue.cli.preflight import name_of, settings_of
from mulequeue.ledger import Ledger
from mulequeue.ops.health.workers import consumed_queues, unconsumed_queues

if TYPE_CHECKING:
    from mulequeue.cli.preflight import Call
    from mulequeue.cli.watch import Check, Note, Watched

REPLY_SECONDS = 1.5
IDLE_SECONDS = 3.0
"""Without progress for so long, a missing worker is reported (within five seconds in all)."""
UNRECEIVED_SECONDS = 30.0
RESEND_SECONDS = 30.0
"""A message that no worker has begun for so long is published again; the time then doubles."""


def checks_of_sent(
    call: Call, ledger: Ledger, watched: Watched, name: str, enqueue: Callable[[], object]
) -> list[Check]:
    """Return the checks of a task or batch that this command has sent.

    :param name: its id.
    :param enqueue: publishes it again.
    """
    return [
        WorkerHint(call.app, watched, name=name),
        lambda note: note_pause(ledger, note, call.model.path),
        Resender(watched, enqueue),
    ]


# Workers


class WorkerHint:
    """Reports that a queue has no worker, if nothing makes progress.

    :param name: the task or batch, to cancel before it is run without workers; None: it cannot be.
    """

    def __init__(self, app: Any, watched: Watched, *, name: str | None = None) -> None:
        self._watched, self._name = watched, name
        self._started = time.monotonic()
        self._message: str | None = None
        # click's context, which knows the typed app, belongs to this thread
        command = f"celery -A {name_of(app)} worker"
        threading.Thread(target=self._ask, args=(app, command), daemon=True).start()

    def __call__(self, note: Note) -> None:
        is_idle = time.monotonic() - self._started >= IDLE_SECONDS
        if self._message and is_idle and not self._watched.has_started:
            note(self._message)

    def _ask(self, app: Any, command: str) -> None:
        try:
            consumed = consumed_queues(app, REPLY_SECONDS)
        except Exception:
            return  # the broker is away, which is reported elsewhere
        queues = set().union(*consumed.values())
        self._message = missing_workers(app, queues, command=command, name=self._name)


def missing_workers(app: Any, consumed: set[str], *, command: str, name: str | None) -> str | None:
    """Return a message about the queues without a worker, or None if there is none.

    :param consumed: names of the queues that workers consume.
    :param command: the command that starts a worker.
    :param name: the task or batch that waits for a worker; None: it cannot be run without workers.
    """
    if not consumed:
        start = f"No worker answers. Start one in another terminal: {command}"
        # Cancelled first, or it would be billed as well as the local run.
        local = f"Or run it without workers: mulequeue cancel {name}, then add --local."
        return start if name is None else f"{start}\n{local}"
    missing = unconsumed_queues(app, settings_of(app), consumed)
    if not missing:
        return None
    return (
        f"No worker consumes the queue {' or '.join(missing)}. Start one in another terminal: "
        f"{command} -Q {','.join(missing)}"
    )


# Paused submissions


def note_pauses(ledger: Ledger, note: Note) -> None:
    """Report why submissions of any profile are paused."""
    for reason in ledger.limits.all_reasons():
        note(f"Submissions are paused: {reason}")


def note_pause(ledger: Ledger, note: Note, path: str) -> None:
    """Report each pause that stops submissions of a model, including one by hand.

    :param path: the model's api_path without ``/vendors/``.
    """
    [submissions] = ledger.limits.submission_statuses(["default"])
    for reason in submissions.reasons(path):
        note(f"Submissions are paused: {reason}")
    if submissions.paused_since is not None:
        note(
            "Submissions of profile default are paused by hand. Resume them:\n"
            "  mulequeue unpause --profile default"
        )


# Messages that no worker receives


class Resender:
    """Publishes again what no worker has begun.

    A Redis broker hands out a message before it records that a worker has it, so a worker that is
    killed at that moment loses the message. A repeated message is ignored by its id. From the first
    worker on, the ledger has everything.
    """

    def __init__(self, watched: Watched, enqueue: Callable[[], object]) -> None:
        self._watched, self._enqueue = watched, enqueue
        self._since, self._wait = time.monotonic(), RESEND_SECONDS

    def __call__(self, _: Note) -> None:
        now = time.monotonic()
        if now - self._since >= self._wait and not self._watched.has_started:
            self._since, self._wait = now, self._wait * 2
            self._enqueue()


class Unreceived:
    """Reports that no worker has received a message for a while."""

    def __init__(self, name: str) -> None:
        self._name, self._started = name, time.monotonic()

    def __call__(self, note: Note) -> None:
        if time.monotonic() - self._started >= UNRECEIVED_SECONDS:
            note(
                f"No worker has received {self._name} for {UNRECEIVED_SECONDS:.0f} s. If its message was "
                "purged or revoked, send it again under the same id: it is billed once."
            )
