"""Make entries of a zip archive from stored files, and from generations that have none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from celery.utils.functional import chunks

from mulequeue.contrib.progress import missing, reason_of
from mulequeue.contrib.zip_stream import Entry, file_entries
from mulequeue.ledger import Ledger, Record
from mulequeue.tasks.batch_ids import member_ids

_SLICE = 200
"""Number of records that are read at once."""


def batch_entries(ledger: Ledger, batch_id: str) -> Iterator[Entry]:
    """Yield the entries of a batch, named by number and prompt: ``0001 a mule at dawn.png``."""
    batch = ledger.queries.batch(batch_id)
    ids = member_ids(batch) if batch else []
    yield from generation_entries(ledger, ((f"{at:04d}", name) for at, name in enumerate(ids, 1)))


def generation_entries(ledger: Ledger, named: Iterable[tuple[str, str]]) -> Iterator[Entry]:
    """Yield an entry per file of the generations, and one per generation without a file.

    :param named: per generation the start of its file names, and its task id.
    """
    for part in chunks(iter(named), _SLICE):
        records = ledger.queries.records([task_id for _, task_id in part])
        for (name, task_id), record in zip(part, records, strict=True):
            found = record or missing(ledger, task_id)
            title = f"{name} {found.label}".strip()
            if not found.files:
                yield Entry(title, missing=_why_without_files(found))
            yield from file_entries(found.files, title, at=found.finished)


def _why_without_files(record: Record) -> str:
    if record.status is None:
        return f"it is {'cancelled' if record.state == 'tombstone' else record.state}"
    reason = reason_of(record)
    return f"{record.status}: {reason}" if reason else "its file is not stored"
