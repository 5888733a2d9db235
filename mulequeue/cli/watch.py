"""Watch a batch, a task or the fleet until it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from mulequeue.cli.exits import Interrupted
from mulequeue.cli.render import plural, word_of
from mulequeue.cli.view import LINE_SECONDS, Progress, View, view_for
from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Ledger, Record

if TYPE_CHECKING:
    from mulequeue.cli.preflight import Call

REFRESH_SECONDS = 0.25
"""Time between two refreshes, each of which sends one or a few Redis commands."""
Note = Callable[[str], None]
"""A function that prints a message once."""
Check = Callable[[Note], None]
"""A function that prints what is wrong."""
_ENQUEUED = Progress("enqueued", rows=["no worker has received it yet"])


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """The options of ``status``."""

    wait: bool = False
    follow: bool = False
    """Wait, and print every change."""
    max_wait: float | None = None
    """Seconds; None: until it is over."""
    poll_interval: float | None = None
    quiet: bool = False
    as_json: bool = False

    @property
    def is_waiting(self) -> bool:
        """Return whether the command waits for the end, instead of showing the state once."""
        return self.wait or self.follow


class Watched:
    """Something whose state :func:`watch` reads repeatedly."""

    line_seconds = LINE_SECONDS
    """The shortest time between two lines of progress in a pipe."""

    @property
    def has_started(self) -> bool:
        """Return whether a worker has begun what is watched."""
        return False

    def refresh(self) -> bool:
        """Read the state; return True if what is watched is over.

        :raises RedisError: Redis does not answer.
        :raises MuleQueueError: what is watched will never be over, for example because the ledger was emptied.
        """
        raise NotImplementedError

    def progress(self) -> Progress:
        """Return the state that was read last."""
        raise NotImplementedError

    def new_endings(self) -> Sequence[Record]:
        """Return the members of a batch that ended since the last call and are to be reported."""
        return ()


def watch(
    watched: Watched,
    title: str,
    options: WatchOptions | Call,
    *,
    interrupted: str,
    age: float = 0.0,
    checks: Sequence[Check] = (),
) -> bool:
    """Show progress until ``watched`` is over; return False if that takes longer than ``max_wait``.

    :param age: seconds since the start of what is watched.
    :param checks: called after every refresh, until ``watched`` is over.
    :raises Interrupted: Ctrl-C; the message is ``interrupted``.
    """
    began = time.monotonic()
    try:
        with view_for(
            title, quiet=options.quiet, age=age, line_seconds=watched.line_seconds
        ) as view:
            while not _refresh(watched, view, checks):
                max_wait = options.max_wait
                if max_wait is not None and time.monotonic() >= began + max_wait:
                    return False
                time.sleep(REFRESH_SECONDS)
            return True
    except KeyboardInterrupt:
        raise Interrupted(interrupted) from None


def _refresh(watched: Watched, view: View, checks: Sequence[Check]) -> bool:
    try:
        is_over = watched.refresh()
        view.show(watched.progress())
        for record in watched.new_endings():
            view.end(record)
        for check in checks if not is_over else ():
            check(view.note)
    except RedisError:
        view.note("Redis does not answer; waiting for it.")
        return False
    return is_over


def lost_error(name: str) -> MuleQueueError:
    """Return the error for a task or batch that the ledger does not know any more."""
    return MuleQueueError(
        f"The ledger does not know {name} any more: its Redis was emptied or replaced. What had been "
        "submitted is billed, and a new call is billed again. `mulequeue adopt API_PATH REMOTE_ID` stores "
        "a generation that the API still has."
    )


class TaskWatch(Watched):
    """The record of one generation.

    :param download_id: the task id of the download, to wait for the download too.
    """

    line_seconds = 0.0

    def __init__(self, ledger: Ledger, task_id: str, *, download_id: str | None = None) -> None:
        self._ledger, self.task_id = ledger, task_id
        self._download_id = download_id
        self.record: Record | None = None
        self.problem: str | None = None
        """Why its files are not stored."""

    @property
    def has_started(self) -> bool:
        return self.record is not None

    def refresh(self) -> bool:
        """Read the record; return True if it is over, and the download ``download_id`` if that is given."""
        record = self._ledger.queries.record(self.task_id)
        if record is None and self.record is not None:
            raise lost_error(self.task_id)
        self.record = record
        if record is None:
            return False
        return record.is_over and self._is_stored(record)

    def progress(self) -> Progress:
        record = self.record
        if record is None:
            return _ENQUEUED
        line = word_of(record)
        if record.status is None and record.remote_id:
            line = f"{line} as {record.remote_id}"
        return Progress(line, plural(record.polls, "check") if record.polls else "", [line])

    def _is_stored(self, record: Record) -> bool:
        if self._download_id is None or record.status != "succeeded":
            return True
        ended = self._ledger.leases.result(self._download_id)
        if ended is None:
            return False
        self.problem = ended.get("error")
        # Its files may have been stored between the two reads.
        self.record = self._ledger.queries.record(self.task_id) or record
        return True


class Arrival(TaskWatch):
    """A task or batch that is watched until a worker has received it."""

    def refresh(self) -> bool:
        """Return True if the ledger has the task or batch, False if it only knows the enqueued message."""
        queries, name = self._ledger.queries, self.task_id
        if queries.batch(name) or queries.record(name):
            return True
        if not self._ledger.enqueued.has(name):
            raise lost_error(name)
        return False
