"""The content of the routes of the Flask extension and of the FastAPI router.

======================  ==========================================================
``generations/<id>``    a generation as JSON, with the URLs of its files
``files/<id>/<n>``      a stored file of the generation, by its number from 0
``batches/<id>``        the progress of a batch as JSON
``batches/<id>/events`` the same as server-sent events, until the batch is finished
``batches/<id>/zip``    the stored files of the batch as one zip archive
``webhook``             receives MuleRouter's webhooks
======================  ==========================================================

The status is 404 for a request that is not permitted and for an unknown id. For the unknown id of a generation,
or of a batch and its events, the content is JSON with the state ``unknown``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mulequeue.contrib.progress import batch_json, generation_json, missing
from mulequeue.contrib.zip_entries import batch_entries
from mulequeue.contrib.zip_stream import Entry
from mulequeue.engine.worker_context import WorkerContext
from mulequeue.ledger import Record
from mulequeue.outcome import File


@dataclass(frozen=True, slots=True)
class Routes:
    """The content of the routes for one request."""

    ctx: WorkerContext
    check: Callable[[str], Any]
    """Receives a batch id, or the task id of a generation without a batch; if the request may not see it, raises an
    exception for which the framework responds with 404."""
    not_found: Exception
    """An exception for which the framework responds with 404."""

    def generation(
        self, task_id: str, file_url: Callable[[str, int], str]
    ) -> tuple[dict[str, Any], int]:
        """Return the JSON of a generation, and the status code.

        Its ``state`` is ``queued`` until a worker has received it.
        """
        return _with_status(generation_json(self._find(task_id), file_url))

    def file(self, task_id: str, number: int) -> File:
        found = self._find(task_id)
        if number >= len(found.files):
            raise self.not_found
        return found.files[number]

    def batch(self, batch_id: str) -> tuple[dict[str, Any], int]:
        """Return the JSON of the progress of a batch, and the status code."""
        self.check(batch_id)
        return _with_status(batch_json(self.ctx.ledger, batch_id))

    def entries(self, batch_id: str) -> Iterator[Entry]:
        """Return the entries of a batch's zip archive."""
        self.check(batch_id)
        if self.ctx.ledger.queries.batch(batch_id) is None:
            raise self.not_found
        return batch_entries(self.ctx.ledger, batch_id)

    def _find(self, task_id: str) -> Record:
        ledger = self.ctx.ledger
        found = ledger.queries.record(task_id) or missing(ledger, task_id)
        self.check(found.batch or task_id)
        return found


def _with_status(content: dict[str, Any]) -> tuple[dict[str, Any], int]:
    return content, 404 if content["state"] == "unknown" else 200
