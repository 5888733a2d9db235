"""Watching one task in the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable

from redis.exceptions import RedisError

from mulequeue.cli.render import WORDS, clock
from mulequeue.ledger import Ledger, Record


class TaskWatch:
    """One generation, looked at again and again.

    :param download_id: task id of its download, to wait for that too; None: it is not waited for.
    :param print_message: gets a line at every change; None: nobody does.
    """

    def __init__(
        self,
        ledger: Ledger,
        task_id: str,
        *,
        download_id: str | None = None,
        print_message: Callable[[str], None] | None = None,
    ) -> None:
        self._ledger, self.task_id, self._download_id = ledger, task_id, download_id
        self._print = print_message
        self._last = ""
        self._started = time.monotonic()
        self.record: Record | None = None
        self.problem: str | None = None
        """Why its files are not stored."""

    @property
    def has_remote_id(self) -> bool:
        return self.record is not None and self.record.remote_id is not None

    def refresh(self) -> bool:
        """Whether it is over, and its download too if that is waited for."""
        try:
            self.record = self._ledger.queries.record(self.task_id) or self.record
            over = self.record is not None and self.record.is_over and self._is_stored(self.record)
        except RedisError:
            self._report("Redis does not answer; waiting for it")
            return False
        if self.record is not None:
            self._report(words_of(self.record))
        return over

    def _is_stored(self, record: Record) -> bool:
        if self._download_id is None or record.status != "succeeded":
            return True
        ended = self._ledger.leases.result(self._download_id)
        if ended is None:
            return False
        self.problem = ended.get("error")
        # Its files may have come between the two questions.
        self.record = self._ledger.queries.record(self.task_id) or record
        return True

    def _report(self, text: str) -> None:
        if text != self._last and self._print is not None:
            self._last = text
            self._print(f"[{clock(time.monotonic() - self._started)}] {text}")


def words_of(record: Record) -> str:
    """How it stands, in a few words."""
    word = WORDS.get(record.status or record.state, record.status or record.state)
    if record.status is None and record.remote_id:
        return f"{word} as {record.remote_id}"
    return word
