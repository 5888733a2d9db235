"""Estimated costs of generations, and how certain it is that they were charged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mulequeue.catalog.usd import usd_of_micros
from mulequeue.ledger import Ledger
from mulequeue.ledger.records import Record, read_record


class Charging(StrEnum):
    """The certainty that the API charges a generation."""

    CHARGED = "charged"
    FAILED = "charging unknown"
    """It failed at the API, whose documentation does not state whether failures are charged."""
    MAYBE = "may have been charged"
    """Its create request was sent, and no response with an id arrived."""


def charging_of(state: str, *, has_id: bool) -> Charging:
    """Return how certain it is that a generation in that state, or with that outcome, is charged."""
    if state == "failed":
        return Charging.FAILED
    return Charging.CHARGED if has_id else Charging.MAYBE


@dataclass(frozen=True, slots=True, kw_only=True)
class Expense:
    """A generation that is, or may be, on the API's bill."""

    task_id: str
    at: float
    """Unix seconds: when its create request was sent."""
    usd: Decimal | None
    """Estimated cost in US dollars; None: its price is unknown."""
    charging: Charging
    model: str = ""
    profile: str = "default"
    batch: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)


def read_expenses(ledger: Ledger) -> Iterator[Expense]:
    """Iterate over the expenses in the ledger, in no particular order. Every record is read."""
    return expenses_of(ledger, ledger.queries.task_ids())


def expenses_of(ledger: Ledger, task_ids: Iterable[str]) -> Iterator[Expense]:
    """Iterate over the expenses of some generations: one per attempt that may be charged."""
    for task_id, fields in ledger.queries.fields(task_ids):
        record = read_record(task_id, fields, None, None)
        for at, usd, end, remote_id in _attempts(record, fields.get("billed", "")):
            yield Expense(
                task_id=task_id,
                at=float(at),
                usd=None if usd == "-" else usd_of_micros(int(usd)),
                charging=charging_of(end, has_id=remote_id != "-"),
                model=record.model or f"/vendors/{record.path}",
                profile=record.profile,
                batch=record.batch or "",
                metadata=record.metadata,
            )


def _attempts(record: Record, billed: str) -> Iterator[Sequence[Any]]:
    """Iterate over the attempts that may be charged: time, cost, status and remote id of each."""
    for line in billed.splitlines():  # the attempts before a retry
        yield line.split()[1:]
    if record.day is not None and record.submitted is not None and record.state != "waiting":
        usd = "-" if record.usd is None else record.usd
        known = record.remote_id or record.late_remote_id or "-"
        yield record.submitted, usd, record.status or record.state, known
