"""The stored files of generations as entries of a zip archive, and what has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from mulequeue.contrib.progress import missing, reason_of
from mulequeue.contrib.zip_stream import Entry, file_entries
from mulequeue.ledger import Ledger, Record
from mulequeue.tasks.batch_ids import member_ids

_SLICE = 200
"""Records that are read at once."""


def batch_entries(ledger: Ledger, batch_id: str) -> Iterator[Entry]:
    """Yield the files of a batch, named by place and prompt: ``0001 a mule at dawn.png``."""
    batch = ledger.queries.batch(batch_id)
    ids = member_ids(batch) if batch else []
    yield from generation_entries(ledger, ((f"{at:04d}", name) for at, name in enumerate(ids, 1)))


def generation_entries(ledger: Ledger, named: Iterable[tuple[str, str]]) -> Iterator[Entry]:
    """Yield the files of generations.

    :param named: the start of a file name, and the task id, per generation.
    """
    left = iter(named)
    while part := list(islice(left, _SLICE)):
        records = ledger.queries.records([task_id for _, task_id in part])
        for (name, task_id), record in zip(part, records, strict=True):
            if record is None or record.state == "tombstone":
                yield Entry(name, missing=f"{task_id} is {missing(ledger, task_id).state}")
            else:
                yield from record_entries(record, name)


def record_entries(record: Record, name: str) -> Iterator[Entry]:
    """Yield the files of a generation.

    :param name: the start of their names; the beginning of the prompt follows.
    """
    title = f"{name} {record.label}".strip()
    if not record.files:
        yield Entry(title, missing=_why_without_files(record))
    yield from file_entries(record.files, title, at=record.finished)


def _why_without_files(record: Record) -> str:
    if record.status is None:
        return f"it is {record.state}"
    reason = reason_of(record)
    return f"{record.status}: {reason}" if reason else "its file is not stored"
