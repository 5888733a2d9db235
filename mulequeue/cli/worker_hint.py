"""Whether any worker takes what was enqueued."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from mulequeue.cli.app import name_of, settings_of
from mulequeue.ops.health.workers import queue_of

REPLY_SECONDS = 1.5
TIMEOUT_SECONDS = 3.0
"""Nothing moved for so long: time to say that no worker answers (within five seconds in all)."""


class WorkerHint:
    """Says once that no worker answers, if none does and nothing moves. Call it now and then.

    :param print_message: gets the sentence.
    :param moved: whether some worker has already done something.
    :param local: what may be added: how to do without workers.
    """

    def __init__(
        self,
        app: Any,
        print_message: Callable[[str], None],
        moved: Callable[[], bool],
        *,
        local: str = "",
    ) -> None:
        self._print, self._moved, self._local = print_message, moved, local
        self._started = time.monotonic()
        self._answer: str | None = None
        self._is_settled = False
        threading.Thread(target=self._ask, args=(app,), daemon=True).start()

    def __call__(self) -> None:
        if self._is_settled:
            return
        if self._moved():
            self._is_settled = True
        elif self._answer and time.monotonic() - self._started >= TIMEOUT_SECONDS:
            self._is_settled = True
            self._print(self._answer)

    def _ask(self, app: Any) -> None:
        try:
            replies = app.control.inspect(timeout=REPLY_SECONDS).active_queues() or {}
        except Exception:
            return  # the broker is away, which is said elsewhere
        taken = {queue["name"] for queues in replies.values() for queue in queues}
        self._answer = missing_workers(app, taken, self._local)


def missing_workers(app: Any, taken: set[str], local: str = "") -> str | None:
    """The sentence about the queues that no worker takes, or None when all are taken.

    :param taken: names of the queues that some worker takes.
    """
    settings = settings_of(app)
    command = f"celery -A {name_of(app)} worker"
    if not taken:
        text = f"No worker answers. Start one in another terminal: {command}"
        return f"{text}\n{local}".rstrip()
    own = [queue_of(app, f"mulequeue.{task}") for task in ("generate", "download", "notify")]
    needed = dict.fromkeys([own[0], settings.poll_queue, settings.wake_queue, *own[1:]])
    missing = [name for name in needed if name and name not in taken]
    if not missing:
        return None
    return (
        f"No worker takes the queue {' or '.join(missing)}. Start one in another terminal: "
        f"{command} -Q {','.join(missing)}"
    )
