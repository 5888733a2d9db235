"""Sum up the estimated costs of generations by model, profile, batch, day or metadata."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from mulequeue.errors import InputError
from mulequeue.ledger import Ledger
from mulequeue.ledger.expenses import Charging, Expense, read_expenses

GROUPS = ("model", "profile", "batch", "day")
_METADATA = "metadata:"
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}

Archive = Callable[[datetime | None], Iterable[Expense]]
"""A function that returns the archived expenses since a time; None: all of them."""
archives: list[Archive] = []
"""Archives that keep generations after their records have expired, such as the database of a Django project."""


@dataclass(slots=True)
class Sum:
    """The expenses of one group."""

    generations: int = 0
    usd: dict[Charging, Decimal] = field(
        default_factory=lambda: dict.fromkeys(Charging, Decimal(0))
    )
    """Estimated cost in US dollars, by the certainty that the API charges it."""
    unpriced: int = 0
    """Generations whose price is unknown; the sums do not contain them."""

    @property
    def total(self) -> Decimal:
        """Return the estimated cost in US dollars if the API charges everything."""
        return sum(self.usd.values(), Decimal(0))

    def add(self, expense: Expense) -> None:
        self.generations += 1
        if expense.usd is None:
            self.unpriced += 1
        else:
            self.usd[expense.charging] += expense.usd


def sum_up(expenses: Iterable[Expense], by: str) -> dict[str, Sum]:
    """Return the sum of each group: days in their order, other groups by their total, the highest first.

    :param by: one of :data:`GROUPS`, or ``metadata:KEY``.
    :raises InputError: ``by`` is neither.
    """
    name_of, sums = _name_function(by), dict[str, Sum]()
    for expense in expenses:
        sums.setdefault(name_of(expense), Sum()).add(expense)
    if by == "day":
        return dict(sorted(sums.items()))
    return dict(sorted(sums.items(), key=lambda item: (-item[1].total, item[0])))


def all_expenses(ledger: Ledger, since: datetime | None) -> Iterator[Expense]:
    """Iterate over the expenses in the ledger, then over those that only the archives have.

    :param since: the earliest time of an expense; None: all of them.
    """
    seen = set()
    for expense in read_expenses(ledger):
        seen.add(expense.task_id)
        if since is None or expense.at >= since.timestamp():
            yield expense
    for archive in archives:
        yield from (expense for expense in archive(since) if expense.task_id not in seen)


def parse_since(text: str, now: datetime) -> datetime:
    """Parse a time: an age (``7d``, ``24h``, ``30m``) or an ISO date, which is in UTC if it has no time zone.

    :raises InputError: the text has neither form.
    """
    ago = re.fullmatch(r"(\d{1,5})([dhm])", text)
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{text!r} is no time. Write 7d, 24h, 30m, or a date: 2026-09-30."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _name_function(by: str) -> Callable[[Expense], str]:
    key = by.removeprefix(_METADATA)
    if by.startswith(_METADATA) and key:
        return lambda expense: str("" if (it := expense.metadata.get(key)) is None else it)
    if by == "day":
        return lambda expense: f"{datetime.fromtimestamp(expense.at, UTC):%Y-%m-%d}"
    if by in GROUPS:
        return lambda expense: str(getattr(expense, by))
    raise InputError(f"{by!r} is no group. Known: {', '.join(GROUPS)}, metadata:KEY.")
