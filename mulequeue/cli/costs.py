"""The estimated cost of generations as ``batch``, ``status`` and ``spend`` show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from mulequeue.catalog.usd import format_usd
from mulequeue.ledger import Batch, Ledger
from mulequeue.ledger.expenses import Charging, Expense, charging_of, expenses_of
from mulequeue.ops.spend import Sum
from mulequeue.outcome import Outcome
from mulequeue.tasks.batch_ids import member_ids

USD_KEYS: Mapping[Charging, str] = {
    Charging.CHARGED: "estimated_usd",
    Charging.FAILED: "charging_unknown_usd",
    Charging.MAYBE: "may_have_been_charged_usd",
}
COST_KEYS = (*USD_KEYS.values(), "unpriced")


def cost_data(cost: Sum) -> dict[str, Any]:
    """Return a sum as :data:`COST_KEYS`, JSON-ready."""
    amounts = {key: float(cost.usd[charging]) for charging, key in USD_KEYS.items()}
    return {**amounts, "unpriced": cost.unpriced}


def cost_line(cost: Sum) -> str:
    """Return ``0.10 USD (estimate), 0.05 USD charging unknown``; empty if nothing is known to cost."""
    if not cost.total:
        return ""
    parts = [f"{format_usd(cost.usd[Charging.CHARGED])} (estimate)"]
    parts += [
        f"{format_usd(usd)} {charging}"
        for charging, usd in cost.usd.items()
        if usd and charging is not Charging.CHARGED
    ]
    if cost.unpriced:
        parts.append(f"{cost.unpriced:,} without a known price")
    return ", ".join(parts)


def cost_of_batch(ledger: Ledger, batch: Batch) -> Sum:
    """Return the estimated cost of the members of a batch.

    Members that were sent one by one may have any task id, so only the sum over all of them is known.
    """
    cost = _sum(expenses_of(ledger, member_ids(batch)))
    if batch.digest is None and not cost.generations:
        cost.usd[Charging.CHARGED] = batch.usd
    return cost


def cost_of_outcomes(outcomes: Iterable[Outcome]) -> Sum:
    """Return the estimated cost of generations that no ledger has."""
    return _sum(expense for outcome in outcomes if (expense := _expense(outcome)))


def _sum(expenses: Iterable[Expense]) -> Sum:
    cost = Sum()
    for expense in expenses:
        cost.add(expense)
    return cost


def _expense(outcome: Outcome) -> Expense | None:
    """Return the expense of an outcome; None: the API has created nothing."""
    if outcome.remote_id is None and outcome.status != "submit_unknown":
        return None
    usd = outcome.estimated_usd
    return Expense(
        task_id=outcome.task_id,
        at=0.0,
        usd=None if usd is None else Decimal(str(usd)),
        charging=charging_of(outcome.status, has_id=outcome.remote_id is not None),
    )
