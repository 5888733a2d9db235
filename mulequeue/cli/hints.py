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
PAUSE_SECONDS = 2.0
"""Time between two checks for a pause."""


class WorkerHint:
    """Reports once that a queue has no worker, if nothing makes progress. Call it repeatedly.

    :param note: prints a message.
    :param has_started: whether a worker has received anything.
    :param name: the task or batch, to cancel before it is run without workers.
    """

    def __init__(
        self, app: Any, note: Callable[[str], None], has_started: Callable[[], bool], *, name: str
    ) -> None:
        self._note, self._has_started, self._name = note, has_started, name
        self._started = time.monotonic()
        self._message: str | None = None
        self._is_finished = False
        # click's context, which knows the typed app, belongs to this thread
        command = f"celery -A {name_of(app)} worker"
        threading.Thread(target=self._ask, args=(app, command), daemon=True).start()

    def __call__(self) -> None:
        if self._is_finished:
            return
        if self._has_started():
            self._is_finished = True
        elif self._message and time.monotonic() - self._started >= IDLE_SECONDS:
            self._is_finished = True
            self._note(self._message)

    def _ask(self, app: Any, command: str) -> None:
        try:
            consumed = consumed_queues(app, REPLY_SECONDS)
        except Exception:
            return  # the broker is away, which is reported elsewhere
        queues = set().union(*consumed.values())
        self._message = missing_workers(app, queues, command=command, name=self._name)


def missing_workers(app: Any, consumed: set[str], *, command: str, name: str) -> str | None:
    """Return a message about the queues without a worker, or None if there is none.

    :param consumed: names of the queues that workers consume.
    :param command: the command that starts a worker.
    :param name: the task or batch that waits for a worker.
    """
    if not consumed:
        # Cancelled first, or it would be billed as well as the local run.
        return (
            f"No worker answers. Start one in another terminal: {command}\n"
            f"Or run it without workers: mulequeue cancel {name}, then add --local."
        )
    missing = unconsumed_queues(app, settings_of(app), consumed)
    if not missing:
        return None
    return (
        f"No worker consumes the queue {' or '.join(missing)}. Start one in another terminal: "
        f"{command} -Q {','.join(missing)}"
    )


class PauseHint:
    """Reports that submissions are paused by hand, once per pause. Call it repeatedly.

    :param note: prints a message.
    :param clock: steady seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        note: Callable[[str], None],
        *,
        profile: str = "default",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger, self._note, self._profile, self._clock = ledger, note, profile, clock
        self._next = clock()
        self._is_reported = False

    def __call__(self) -> None:
        if self._clock() < self._next:
            return
        self._next = self._clock() + PAUSE_SECONDS
        (submissions,) = self._ledger.limits.submission_statuses([self._profile])
        is_paused = submissions.paused_since is not None
        if is_paused and not self._is_reported:
            self._note(
                f"Submissions of profile {self._profile} are paused by hand. Resume them:\n"
                f"  mulequeue unpause --profile {self._profile}"
            )
        self._is_reported = is_paused
