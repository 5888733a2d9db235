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
    from mulequeue.cli.watch import Note, Watched

REPLY_SECONDS = 1.5
IDLE_SECONDS = 3.0
"""If no worker has begun for this time, a missing worker is reported (within 5 s in all)."""
UNRECEIVED_SECONDS = 30.0
"""A message that no worker has begun for this time is published again; the time then doubles."""


# Messages that no worker receives


class Unreceived:
    """Reports that a queue has no worker, and publishes a message again that no worker has begun.

    A Redis broker hands out a message before it records which worker has it, so a worker that is
    killed at that moment loses the message. If both messages arrive, the second one is ignored because of
    its id. Once a worker has begun, the ledger has everything, and the message is not needed.

    :param name: the task id or batch id.
    :param enqueue: publishes the message again; None: this command did not send it, so a note tells the user to.
    """

    def __init__(
        self, app: Any, watched: Watched, name: str, enqueue: Callable[[], object] | None = None
    ) -> None:
        self._watched, self._name, self._enqueue = watched, name, enqueue
        self._started = self._since = time.monotonic()
        self._wait = UNRECEIVED_SECONDS
        self._message: str | None = None
        # click's context, which knows the typed app, belongs to this thread
        command = f"celery -A {name_of(app)} worker"
        threading.Thread(target=self._ask, args=(app, command), daemon=True).start()

    def __call__(self, note: Note) -> None:
        now = time.monotonic()
        if self._watched.has_started:
            return
        if self._message and now - self._started >= IDLE_SECONDS:
            note(self._message)
        if now - self._since < self._wait:
            return
        if self._enqueue is None:
            note(
                f"No worker has received {self._name} for {UNRECEIVED_SECONDS:.0f} s. If its message was "
                "purged or revoked, send it again under the same id: it is billed once."
            )
        else:
            self._since, self._wait = now, self._wait * 2
            self._enqueue()

    def _ask(self, app: Any, command: str) -> None:
        try:
            consumed = consumed_queues(app, REPLY_SECONDS)
        except Exception:
            return  # the broker does not answer, which is reported elsewhere
        queues = set().union(*consumed.values())
        name = self._name if self._enqueue else None
        self._message = missing_workers(app, queues, command=command, name=name)


def missing_workers(app: Any, consumed: set[str], *, command: str, name: str | None) -> str | None:
    """Return a message about the queues without a worker, or None if there is none.

    :param command: the command that starts a worker.
    :param name: the task or batch that the user can cancel and run with ``--local``; None: there is none.
    """
    if not consumed:
        start = f"No worker answers. Start one in another terminal: {command}"
        # Cancelled first, or both its message and the local run would be billed.
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
    """Report each reason why submissions of a profile are paused, for all profiles."""
    for reason in ledger.limits.all_reasons():
        note(f"Submissions are paused: {reason}")


def note_pause(ledger: Ledger, note: Note, path: str) -> None:
    """Report each pause that stops submissions of a model by the default profile, including one by hand.

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
