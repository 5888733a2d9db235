"""Find out what an id names: a task, a batch, or a generation at the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mulequeue.errors import InputError
from mulequeue.tasks.batch_ids import split_member_id

if TYPE_CHECKING:
    from mulequeue.ledger import Ledger


def known_name(ledger: Ledger, name: str) -> str | None:
    """Return the task id or batch id that an id means; None: the ledger does not know it.

    :param name: a task id, a batch id or a remote id; also one whose message a web app, a command or a
        worker has enqueued, and no worker has received.
    """
    queries = ledger.queries
    if queries.batch(name) or queries.record(name) or ledger.enqueued.has(name):
        return name
    if _is_member(ledger, name) or ledger.leases.held([name]):
        return name
    return queries.task_of(name)


def unknown_id(name: str) -> InputError:
    """Return the error for an id that the ledger does not know."""
    return InputError(
        f"The ledger has no task, batch or remote id {name}. Records are kept for "
        "mulequeue_record_ttl_seconds, by default 7 days."
    )


def _is_member(ledger: Ledger, name: str) -> bool:
    """Return whether it is a member of a batch that has not begun."""
    batch_id, index = split_member_id(name) or (None, 0)
    batch = ledger.queries.batch(batch_id) if batch_id else None
    return batch is not None and index < batch.size
