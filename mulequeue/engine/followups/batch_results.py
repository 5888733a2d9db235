"""Read the outcomes of the members of a batch from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mulequeue.engine.following_tasks import follower_id
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import InputError
from mulequeue.ledger import Batch, Ledger, Record, outcome_of
from mulequeue.outcome import ErrorInfo, Outcome, is_reference, short_form

LOST_AFTER_SECONDS = 900.0
"""A download that has neither a lease nor a result this long after its generation ended was lost."""
_EXPIRED = "The ledger no longer has its record."
_LOST = "Its download ended without a result; it may have been revoked."


def read_outcome(app: Any, value: Mapping[str, Any]) -> Outcome:
    """Return the whole outcome of ``value``; for the short form of a batch's member it is read from the ledger.

    :raises InputError: the ledger has no outcome of the task any more.
    """
    if not is_reference(value):
        return Outcome.from_dict(value)
    record = worker_context(app).ledger.queries.record(value["task_id"])
    if record is None or record.status is None:
        raise InputError(
            f"The ledger has no outcome of task {value['task_id']}; records are kept "
            "for mulequeue_record_ttl_seconds."
        )
    return outcome_of(record)


def batch_results(
    ledger: Ledger, batch: Batch, members: Mapping[str, str]
) -> list[dict[str, Any]] | None:
    """Return the short form of each member; None: a generation or a download of the batch has not ended.

    :param members: the task id of each member's download, by the task id of its generation.
    """
    if batch.under_way:
        return None
    records = dict(zip(members, ledger.queries.records(list(members)), strict=True))
    now = ledger.queries.now()
    missing: dict[str, str] = {}
    for task_id, record in records.items():
        if record is None or record.state == "tombstone":
            if not batch.is_cancelled:
                missing[task_id] = task_id
        elif record.status is None:
            return None
        elif batch.downloads and record.status == "succeeded" and not record.is_downloaded:
            if record.state != "delivered" or now < (record.finished or 0) + LOST_AFTER_SECONDS:
                return None
            missing[task_id] = follower_id(members[task_id], record.returned)
    if missing and not _are_lost(ledger, records, missing):
        return None
    return [_short_form(batch, name, record) for name, record in records.items()]


def _are_lost(
    ledger: Ledger, records: Mapping[str, Record | None], missing: Mapping[str, str]
) -> bool:
    """Return whether the missing messages are lost: none has a lease, and no record has changed since it was read.

    :param missing: the task id of the missing message, by the task id of its generation.
    """
    if ledger.leases.held(list(missing.values())):
        return False
    return ledger.queries.records(list(missing)) == [records[task_id] for task_id in missing]


def _short_form(batch: Batch, task_id: str, record: Record | None) -> dict[str, Any]:
    if record is None and not batch.is_cancelled:
        error = ErrorInfo(type="SubmitUnknown", title=_EXPIRED)
        return short_form(Outcome(task_id=task_id, status="submit_unknown", error=error))
    if record is None or record.status is None:
        return short_form(Outcome(task_id=task_id, status="cancelled"))
    if batch.downloads and record.status == "succeeded" and not record.is_downloaded:
        record = replace(record, file_error=_LOST)
    return short_form(outcome_of(record))
