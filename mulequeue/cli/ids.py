"""The ids that a user types."""

from __future__ import annotations

from mulequeue.errors import InputError
from mulequeue.ledger import Ledger
from mulequeue.tasks.control import known_name, unknown_id

_SHOWN = 4


def find_id(ledger: Ledger, name: str) -> str | None:
    """Return the task id or batch id that a typed id means; None: the ledger does not know it.

    :param name: a task id, a batch id, a remote id, the id of a batch's own task, or the unique start of a task
        id, batch id or remote id.
    :raises InputError: ``name`` is the start of several ids.
    """
    batch_id, _, digest = name.rpartition("-")
    batch = ledger.queries.batch(batch_id) if batch_id else None
    if batch is not None and digest and (batch.digest or "").startswith(digest):
        return batch_id
    return known_name(ledger, name) or _with_start(ledger, name)


def known_id(ledger: Ledger, name: str) -> str:
    """Return the id that a name means, as :func:`find_id` does.

    :raises InputError: the ledger does not know ``name``, or ``name`` is the start of several ids.
    """
    found = find_id(ledger, name)
    if found is None:
        raise InputError(
            f"{unknown_id(name)} To ask the API about a remote id: "
            "mulequeue status API_PATH REMOTE_ID"
        )
    return found


def _with_start(ledger: Ledger, start: str) -> str | None:
    """Return the only batch id or task id that has this start, itself or in its remote id, else None.

    If a batch matches, its members are ignored.
    """
    if not start:
        return None
    queries = ledger.queries
    batches = set(queries.batch_ids(start))
    tasks = {
        name
        for name in queries.task_ids(start)
        if not any(name.startswith(f"{batch_id}-") for batch_id in batches)
    }
    tasks |= {task for remote in queries.remote_ids(start) if (task := queries.task_of(remote))}
    found = sorted(batches | tasks)
    if len(found) > 1:
        more = ", …" if len(found) > _SHOWN else ""
        raise InputError(
            f"{start} is the start of several ids: {', '.join(found[:_SHOWN])}{more}. Type more of it."
        )
    return found[0] if found else None
