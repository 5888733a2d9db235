"""The stored files of rows as entries of a zip archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mulequeue.contrib.django.models import Generation
from mulequeue.contrib.zip_stream import Entry, file_entries
from mulequeue.outcome import File

_SHORT = 60


def row_entries(rows: Iterable[Generation]) -> Iterator[Entry]:
    """Yield the files of rows, named by task id and prompt; rows are kept longer than the ledger's records."""
    for row in rows:
        name = f"{row.pk} {row.prompt[:_SHORT]}".strip()
        if not row.files:
            error = row.error or {}
            words = [row.get_state_display(), error.get("detail") or error.get("title")]
            yield Entry(name, missing=": ".join(str(word) for word in words if word))
        at = None if row.finished_at is None else row.finished_at.timestamp()
        yield from file_entries([File(**item) for item in row.files], name, at=at)
