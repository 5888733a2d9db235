"""Summaries of all records, for the checks that find stuck ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mulequeue.ledger import Ledger, Problem

_FIELDS = (
    "state",
    "v",
    "key",
    "profile",
    "deliveries",
    "abandoned",
    "poisoned",
    "remote_id",
    "late_remote_id",
    "file_error",
    "notify_error",
    "each_error",
    "errors",
    "problem",
)
_CHUNK_SIZE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSummary:
    """The fields of a record that show whether it is stuck."""

    task_id: str
    state: str
    version: int
    """Of the schema that the record was written with."""
    fingerprint: str
    profile: str
    deliveries: int
    is_abandoned: bool
    """Delivering the outcome failed so often that it became a failure, or was abandoned."""
    remote_id: str | None
    late_remote_id: str | None
    file_error: str
    """Why a download of it was given up, or empty."""
    notify_error: str
    """Why a notification of it was given up, or empty."""
    each_error: str
    """Why the task of ``each`` was given up, or empty."""
    errors: int
    """Status checks in a row without a usable answer."""
    problem: Problem | None
    due: float | None
    """Unix seconds of Redis' clock; None: the record is not in the due index."""


def record_summaries(ledger: Ledger, most: int) -> Iterator[RecordSummary]:
    """Iterate over the due records, the most overdue first, then over the others.

    :param most: read at most this many.
    """
    waiting = ledger.redis.zrange(f"{ledger.prefix}due", 0, most - 1)
    others = ("transfer:", "gate:")
    ids = (text for key in waiting if not (text := _text(key)).startswith(others))
    everything = islice(_once(ids, ledger.queries.task_ids()), most)
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


def _read(ledger: Ledger, task_ids: list[str]) -> Iterator[RecordSummary]:
    pipe = ledger.redis.pipeline(transaction=False)
    for task_id in task_ids:
        pipe.hmget(f"{ledger.prefix}record:{task_id}", _FIELDS)
        pipe.zscore(f"{ledger.prefix}due", task_id)
    answers = pipe.execute()
    for task_id, raw, due in zip(task_ids, answers[::2], answers[1::2], strict=True):
        found = [None if value is None else value.decode() for value in raw]
        state, version, key, profile, deliveries, abandoned, poisoned, remote_id, late = found[:9]
        file_error, notify_error, each_error, errors, problem = found[9:]
        if state is not None:
            yield RecordSummary(
                task_id=task_id,
                state=state,
                version=int(version or 0),
                fingerprint=key or "",
                profile=profile or "",
                deliveries=int(deliveries or 0),
                is_abandoned="1" in (abandoned, poisoned),
                remote_id=remote_id,
                late_remote_id=late,
                file_error=file_error or "",
                notify_error=notify_error or "",
                each_error=each_error or "",
                errors=int(errors or 0),
                problem=Problem.parse(problem or ""),
                due=due,
            )
