"""The estimated cost of generations: of those that exist, and of a batch before it is sent."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from mulequeue.catalog.usd import format_usd
from mulequeue.cli.output import one_line, print_json, print_message, print_rows
from mulequeue.errors import MuleQueueError
from mulequeue.ledger import Batch, Ledger, Record
from mulequeue.ledger.expenses import Charging, Expense, charging_of, expenses_of
from mulequeue.net.address_guard import is_loopback
from mulequeue.ops.spend import Sum
from mulequeue.settings.costs import estimate
from mulequeue.tasks.batch_ids import member_ids

if TYPE_CHECKING:
    from mulequeue.cli.preflight import Call

USD_KEYS: Mapping[Charging, str] = {
    Charging.CHARGED: "estimated_usd",
    Charging.FAILED: "charging_unknown_usd",
    Charging.MAYBE: "may_have_been_charged_usd",
}
COST_KEYS = (*USD_KEYS.values(), "unpriced")
_MAX_VALUES, _WIDTH = 4, 12


def cost_data(cost: Sum) -> dict[str, Any]:
    """Return a sum as a JSON-ready dict with the keys :data:`COST_KEYS`."""
    amounts = {key: float(cost.usd[charging]) for charging, key in USD_KEYS.items()}
    return {**amounts, "unpriced": cost.unpriced}


def cost_line(cost: Sum) -> str:
    """Return ``0.10 USD (estimate), 0.05 USD charging unknown``; empty if no cost is known."""
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

    Members that were sent one by one may have any task id, so only the sum in the batch is known.
    """
    cost = _sum(expenses_of(ledger, member_ids(batch)))
    if batch.digest is None and not cost.generations:
        cost.usd[Charging.CHARGED] = batch.usd
    return cost


def cost_of_records(records: Iterable[Record]) -> Sum:
    """Return the estimated cost of records that are not in a ledger, as with ``--local``."""
    charged = [record for record in records if record.day is not None]
    return _sum(
        Expense(task_id=item.task_id, at=0.0, usd=item.estimated_usd, charging=_charging(item))
        for item in charged
    )


def cost_of(record: Record) -> str:
    """Return ``0.075 USD (estimate)``, and whether it was charged if uncertain; empty if nothing was charged."""
    usd, charging = record.estimated_usd, _charging(record)
    if record.day is None:
        return ""
    if usd is None:
        return "price unknown (set mulequeue_prices)"
    is_sure = charging is Charging.CHARGED or not record.is_over
    return f"{format_usd(usd)} (estimate)" + ("" if is_sure else f", {charging}")


def _sum(expenses: Iterable[Expense]) -> Sum:
    cost = Sum()
    for expense in expenses:
        cost.add(expense)
    return cost


def _charging(record: Record) -> Charging:
    has_id = bool(record.remote_id or record.late_remote_id)
    return charging_of(record.status or record.state, has_id=has_id)


# Before anything is sent


def print_dry_run(call: Call) -> None:
    """Print what a batch would make, from which parameters, and its estimated cost."""
    found, parameters = estimate(call.model.name, call.inputs, app=call.app), _parameters(call)
    if call.as_json:
        counts = {"model": found.model, "count": found.count, "parameters": parameters}
        usd = {"usd": float(found.usd), "unpriced": found.unpriced}
        print_json({"dry_run": True, **counts, **usd, "files": list(call.paths)})
        return
    rows = [("model", found.model), ("generations", f"{found.count:,}")]
    rows += [(name, _counted(values, found.count)) for name, values in parameters.items()]
    rows.append(("estimate", str(found)))
    if found.unpriced:
        rows.append(("no price", f"{found.unpriced:,} of {found.count:,}; set mulequeue_prices"))
    rows += [("first file", f"{call.storage}/{path}") for path in call.paths[:1]]
    width = max(_WIDTH, *(len(name) + 2 for name, _ in rows))
    print_rows(((name, one_line(text)) for name, text in rows), width)
    click.echo("All inputs are valid. Nothing was sent.")


def confirm(call: Call, *, yes: bool) -> None:
    """Ask before a batch above ``confirm_above`` generations or ``confirm_above_usd`` is sent.

    Do not ask with ``yes``, outside a terminal, or if the API is on this machine and costs nothing.

    :raises MuleQueueError: the answer is no.
    """
    host = urlsplit(call.settings.profile(needs_key=False).base_url).hostname or ""
    if yes or not _is_terminal() or is_loopback(host):
        return
    found, settings = estimate(call.model.name, call.inputs, app=call.app), call.settings
    is_expensive = found.usd > Decimal(str(settings.confirm_above_usd))
    if found.count <= settings.confirm_above and not is_expensive:
        return
    print_message(f"{found.model}: {found}.")
    ask_to_send()


def ask_to_send() -> None:
    """Ask on a terminal whether to send; elsewhere do nothing.

    :raises MuleQueueError: the answer is no.
    """
    if _is_terminal() and not click.confirm("Send them?", err=True):
        raise MuleQueueError("Nothing was sent.")


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _parameters(call: Call) -> dict[str, dict[str, int]]:
    """Count the values of each parameter except the prompt, the most frequent value first."""
    found: dict[str, Counter[str]] = {}
    for given in call.inputs:
        for name, value in given.items():
            if name != call.model.prompt_field:
                found.setdefault(name, Counter())[_text(value)] += 1
    return {name: dict(values.most_common()) for name, values in found.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _counted(values: dict[str, int], size: int) -> str:
    """Return the values with their counts: ``1 (40), 2 (19), not given (1)``; ``1`` if all have it."""
    if values and size == next(iter(values.values())):
        return next(iter(values))[:60]
    parts = [f"{value[:30]} ({count:,})" for value, count in list(values.items())[:_MAX_VALUES]]
    if len(values) > _MAX_VALUES:
        parts.append(f"{len(values) - _MAX_VALUES:,} other values")
    missing = size - sum(values.values())
    return ", ".join([*parts, *([f"not given ({missing:,})"] if missing else [])])
