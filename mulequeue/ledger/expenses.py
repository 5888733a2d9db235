"""Estimated costs of generations, and how certain it is that they were charged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import islice

from mulequeue.catalog.usd import usd_of_micros
from mulequeue.ledger import Ledger
from mulequeue.ledger.packed import unpack_record

_SLICE = 500
"""Records per round trip."""


class Charging(StrEnum):
    """The certainty that the API charges a generation."""

    CHARGED = "charged"
    FAILED = "charging unknown"
    """It failed at the API, whose documentation does not say whether it charges that."""
    MAYBE = "may have been charged"
    """Its create request was sent, and there was no response with an id."""


def charging_of(state: str, *, has_id: bool) -> Charging:
    """Return how certain it is that a generation is charged which the API may have created.

    :param state: of its record, or its outcome.
    :param has_id: whether the API returned an id.
    """
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
    """Iterate over the expenses in the ledger, in no order. It reads every record."""
    ids, seen = ledger.queries.task_ids(), set[str]()
    while names := list(islice(ids, _SLICE)):
        new = [name for name in dict.fromkeys(names) if name not in seen]
        seen.update(new)
        yield from _slice(ledger, new)


def expenses_of(ledger: Ledger, task_ids: Sequence[str]) -> Iterator[Expense]:
    """Iterate over the expenses of some generations, each attempt that may be charged."""
    for start in range(0, len(task_ids), _SLICE):
        yield from _slice(ledger, list(task_ids[start : start + _SLICE]))


def _slice(ledger: Ledger, names: list[str]) -> Iterator[Expense]:
    pipe = ledger.redis.pipeline(transaction=False)
    for name in names:
        pipe.hgetall(f"{ledger.prefix}record:{name}")
    for name, raw in zip(names, pipe.execute(), strict=True):
        if not raw:
            continue
        fields, _, _ = unpack_record(raw, None, None)
        for attempt in _attempts(fields):
            yield _expense(name, fields, *attempt)


def _attempts(fields: Mapping[str, str]) -> Iterator[Sequence[str]]:
    """Iterate over the attempts that may have created something: time, cost, end and remote id."""
    for line in fields.get("billed", "").splitlines():  # they were retried
        yield line.split()[1:]
    if "day" in fields and "submitted" in fields and fields["state"] != "waiting":
        known = fields.get("remote_id") or fields.get("late_remote_id") or "-"
        end = fields.get("status") or fields["state"]
        yield fields["submitted"], fields.get("usd", "-"), end, known


def _expense(
    task_id: str, fields: Mapping[str, str], at: str, usd: str, end: str, remote_id: str
) -> Expense:
    metadata = fields.get("metadata")
    return Expense(
        task_id=task_id,
        at=float(at),
        usd=None if usd == "-" else usd_of_micros(int(usd)),
        charging=charging_of(end, has_id=remote_id != "-"),
        model=fields.get("model") or f"/vendors/{fields.get('path', '')}",
        profile=fields.get("profile", "default"),
        batch=fields.get("batch", ""),
        metadata=json.loads(metadata) if metadata else {},
    )
