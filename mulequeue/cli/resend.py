"""Sending again what a broker lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mulequeue.cli.batch_watch import BatchWatch
from mulequeue.ledger import Ledger, Record
from mulequeue.tasks.canvases import files_id, member_ids

QUIET_SECONDS = 30.0
"""Nothing changed for so long: time to look whether something is missing; then ever more rarely."""
_CHUNK_SIZE = 200


class Resender:
    """Called now and then while a batch is watched.

    A Redis broker hands a message out before it is noted as being worked on, so a worker that is
    killed at that moment takes it along. The ledger knows nothing of such a member (or of such a
    download); sent again under the same id it is paid once all the same.

    :param enqueue: publishes the whole batch again; members the ledger knows are ignored.
    :param note: gets a sentence for the person who watches.
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
        self._patience = QUIET_SECONDS

    def __call__(self) -> None:
        batch = self._watched.batch
        now = self._clock()
        seen = (dict(batch.counts), batch.downloaded)
        if seen != self._seen:
            self._seen, self._since, self._patience = seen, now, QUIET_SECONDS
        elif self._watched.moved and now - self._since >= self._patience:
            self._since, self._patience = now, self._patience * 2
            self._check()

    def _check(self) -> None:
        task_ids = member_ids(self._watched.batch)
        records: list[Record | None] = []
        for start in range(0, len(task_ids), _CHUNK_SIZE):
            records += self._ledger.queries.records(task_ids[start : start + _CHUNK_SIZE])
        lost = records.count(None)
        if lost:
            self._note(f"{lost} of the batch never reached a worker; sent again, paid once.")
            self._enqueue()
        for record in records:
            if record is not None and _is_unstored(record):
                self._store(record)

    def _store(self, record: Record) -> None:
        self._note(f"The download of {record.task_id} never reached a worker; sent again.")
        kwargs = {"storage": self._storage} if self._storage else {}
        self._app.tasks["mulequeue.download"].apply_async(
            ({"task_id": record.task_id, "status": "succeeded", "files": []},),
            kwargs,
            task_id=files_id(record.task_id),
        )


def _is_unstored(record: Record) -> bool:
    return record.state == "delivered" and record.status == "succeeded" and not record.files
