"""Read the outcome that a task receives, and insert one of its assets into the next input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mulequeue.catalog.inputs import insert_asset
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import InputError
from mulequeue.ledger import outcome_of
from mulequeue.outcome import Outcome, is_reference


def read_outcome(app: Any, value: Mapping[str, Any]) -> Outcome:
    """Return the whole outcome; read it from the ledger for the short form of a batch member.

    :raises InputError: the ledger no longer has it.
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


def with_asset(
    task: Any, previous: Mapping[str, Any], input: Any, *, use: str, index: int
) -> dict[str, Any]:
    """Return the input with an asset of the previous outcome in the field ``use``.

    :raises InputError: there is no such asset, or the input is not a dict.
    """
    if not isinstance(input, Mapping):
        raise InputError(f"The input must be an object (a dict), not {type(input).__name__}.")
    assets = read_outcome(task.app, previous).assets
    if not -len(assets) <= index < len(assets):
        raise InputError(
            f"The previous generation has {len(assets)} asset(s); there is no index {index}."
        )
    return insert_asset(input, use, assets[index].url)
