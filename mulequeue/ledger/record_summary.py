"""A quick look over all records, for whoever wants to know what is stuck."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mulequeue.ledger.queries import Queries

_FIELDS = (
    "state",
    "v",
    "key",
    "deliveries",
    "abandoned",
    "poisoned",
    "remote_id",
    "late_remote_id",
)
_CHUNK_SIZE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSummary:
    """The few fields of a record that tell whether it is stuck."""

    task_id: str
    state: str
    version: int
    """Of the schema it was written with."""
    fingerprint: str
    deliveries: int
    is_abandoned: bool
    """Handing it on failed so often that its outcome became a failure, or nothing at all."""
    remote_id: str | None
    late_remote_id: str | None
    due: float | None
    """Unix seconds of Redis' clock; None: nothing is to be done with it."""


def record_summaries(ledger: Queries, most: int) -> Iterator[RecordSummary]:
    """All records with something to do first, the most overdue of them first, then the others.

    :param most: look at so many at most.
    """
    waiting = ledger.redis.zrange(f"{ledger.prefix}due", 0, most - 1)
    others = ("transfer:", "gate:")
    ids = (text for key in waiting if not (text := _text(key)).startswith(others))
    everything = islice(_once(ids, ledger.task_ids()), most)
    while part := list(islice(everything, _CHUNK_SIZE)):
        yield from _read(ledger, part)


def _text(key: Any) -> str:
    return bytes(key).decode()


def _once(*sources: Iterator[str]) -> Iterator[str]:
    seen: set[str] = set()
    for source in sources:
        for task_id in source:
            if task_id not in seen:
                seen.add(task_id)
                yield task_id


def _read(ledger: Queries, task_ids: list[str]) -> Iterator[RecordSummary]:
    pipe = ledger.redis.pipeline(transaction=False)
    for task_id in task_ids:
        pipe.hmget(f"{ledger.prefix}record:{task_id}", _FIELDS)
        pipe.zscore(f"{ledger.prefix}due", task_id)
    answers = pipe.execute()
    for task_id, raw, due in zip(task_ids, answers[::2], answers[1::2], strict=True):
        found = [None if value is None else value.decode() for value in raw]
        state, version, key, deliveries, abandoned, poisoned, remote_id, late = found
        if state is not None:
            yield RecordSummary(
                task_id=task_id,
                state=state,
                version=int(version or 0),
                fingerprint=key or "",
                deliveries=int(deliveries or 0),
                is_abandoned="1" in (abandoned, poisoned),
                remote_id=remote_id,
                late_remote_id=late,
                due=due,
            )
