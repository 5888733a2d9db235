"""Checks while something is watched: workers that are missing, and paused submissions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from mulequeue.cli.preflight import name_of, settings_of
from mulequeue.ledger import Ledger
from mulequeue.ops.health.workers import consumed_queues, unconsumed_queues

REPLY_SECONDS = 1.5
IDLE_SECONDS = 3.0
"""Without progress for so long, a missing worker is reported (within five seconds in all)."""


class WorkerHint:
    """Reports that a queue has no worker, if nothing makes progress. Call it repeatedly.

    :param note: prints a message, once.
    :param has_started: whether a worker has received anything.
    :param name: the task or batch, to cancel before it is run without workers; None: it cannot be.
    """

    def __init__(
        self,
        app: Any,
        note: Callable[[str], None],
        has_started: Callable[[], bool],
        *,
        name: str | None = None,
    ) -> None:
        self._note, self._has_started, self._name = note, has_started, name
        self._started = time.monotonic()
        self._message: str | None = None
        # click's context, which knows the typed app, belongs to this thread
        command = f"celery -A {name_of(app)} worker"
        threading.Thread(target=self._ask, args=(app, command), daemon=True).start()

    def __call__(self) -> None:
        is_idle = time.monotonic() - self._started >= IDLE_SECONDS
        if self._message and is_idle and not self._has_started():
            self._note(self._message)

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


def note_pauses(ledger: Ledger, note: Callable[[str], None]) -> None:
    """Report why submissions of any profile are paused.

    :param note: prints a message, once.
    """
    for reason in ledger.limits.all_reasons():
        note(f"Submissions are paused: {reason}")


def note_pause(
    ledger: Ledger, note: Callable[[str], None], path: str, profile: str = "default"
) -> None:
    """Report each pause that stops submissions of a model, including one by hand.

    :param note: prints a message, once.
    :param path: the model's api_path without ``/vendors/``.
    """
    [submissions] = ledger.limits.submission_statuses([profile])
    for reason in submissions.reasons(path):
        note(f"Submissions are paused: {reason}")
    if submissions.paused_since is not None:
        note(
            f"Submissions of profile {profile} are paused by hand. Resume them:\n"
            f"  mulequeue unpause --profile {profile}"
        )
