"""Publish messages again that a broker lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mulequeue.cli.results import read_all
from mulequeue.cli.watch import BatchWatch
from mulequeue.ledger import Ledger, Record
from mulequeue.tasks.batch_ids import files_id, member_ids

IDLE_SECONDS = 30.0
"""Without a change for so long, the batch is checked for lost messages; the time then doubles."""


class Resender:
    """Finds lost messages of a batch that is watched. Call it repeatedly.

    A Redis broker hands out a message before it records that a worker has it, so a worker that is
    killed at that moment loses the message. The ledger has no record of such a member (or of such a
    download). It is published again under the same id, and so never billed twice.

    :param enqueue: publishes the whole batch again; workers ignore the members that the ledger has.
    :param note: prints a message.
    :param clock: steady seconds.
    """

    def __init__(
        self,
        app: Any,
        ledger: Ledger,
        watched: BatchWatch,
        *,
        enqueue: Callable[[], None],
        storage: str | None,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._ledger, self._watched = app, ledger, watched
        self._enqueue, self._storage, self._note, self._clock = enqueue, storage, note, clock
        self._seen: object = None
        self._since = clock()
        self._wait = IDLE_SECONDS

    def __call__(self) -> None:
        batch = self._watched.batch
        now = self._clock()
        seen = (dict(batch.counts), batch.downloaded)
        if seen != self._seen:
            self._seen, self._since, self._wait = seen, now, IDLE_SECONDS
        elif self._watched.has_started and now - self._since >= self._wait:
            self._since, self._wait = now, self._wait * 2
            self._resend()

    def _resend(self) -> None:
        records = list(read_all(self._ledger, member_ids(self._watched.batch)))
        lost = records.count(None)
        if lost:
            noun = "message" if lost == 1 else "messages"
            self._note(f"The broker lost {lost} {noun}; republishing. Nothing is billed twice.")
            self._enqueue()
        for record in records:
            if record is not None and _has_lost_download(record):
                self._note(f"The download of {record.task_id} was lost; it is published again.")
                self._download(record)

    def _download(self, record: Record) -> None:
        kwargs = {"storage": self._storage} if self._storage else {}
        self._app.tasks["mulequeue.download"].apply_async(
            ({"task_id": record.task_id, "status": "succeeded", "files": []},),
            kwargs,
            task_id=files_id(record.task_id),
        )


def _has_lost_download(record: Record) -> bool:
    return record.state == "delivered" and record.status == "succeeded" and not record.files
