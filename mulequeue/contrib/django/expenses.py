"""Sum up the estimated costs of mirrored generations, also after their records have expired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from mulequeue.catalog.usd import format_usd
from mulequeue.contrib.django.models import Generation, State
from mulequeue.ledger.expenses import Charging, Expense, charging_of
from mulequeue.ops.spend import archives

_FAILED, _HAS_ID = Q(state=State.FAILED), ~Q(remote_id="")
_KINDS = {
    Charging.CHARGED: _HAS_ID & ~_FAILED,
    Charging.FAILED: _FAILED,
    Charging.MAYBE: ~_HAS_ID & ~_FAILED,
}


def read_expenses(since: datetime | None) -> Iterator[Expense]:
    """Iterate over the expenses in the database.

    :param since: the earliest time of submission; None: all expenses.
    """
    rows = _expenses(Generation.objects.order_by())
    if since is not None:
        rows = rows.filter(
            submitted_at__gte=since if settings.USE_TZ else timezone.make_naive(since)
        )
    for row in rows.defer("prompt", "input", "assets", "files", "error").iterator():
        yield Expense(
            task_id=row.pk,
            at=row.submitted_at.timestamp(),
            usd=row.estimated_usd,
            charging=charging_of(row.state, has_id=bool(row.remote_id)),
            model=row.model or row.api_path,
            profile=row.profile,
            batch=row.batch_id or "",
            metadata=row.metadata,
        )


archives.append(read_expenses)  # for `mulequeue spend`


def sums_line(rows: QuerySet[Generation]) -> str:
    """Return a line with the estimated cost of rows by its certainty; empty if no row has or may have a cost."""
    kinds: dict[str, Any] = {
        kind.name: Sum("estimated_usd", filter=where) for kind, where in _KINDS.items()
    }
    found = _expenses(rows.order_by()).aggregate(
        **kinds, unpriced=Count("pk", filter=Q(estimated_usd=None))
    )
    parts = [
        f"{format_usd(Decimal(found[kind.name]))} {'(estimate)' if kind is Charging.CHARGED else kind}"
        for kind in _KINDS
        if found[kind.name]
    ]
    if found["unpriced"]:
        parts.append(f"{found['unpriced']:,} without a known price")
    return "; ".join(parts)


def _expenses(rows: QuerySet[Generation]) -> QuerySet[Generation]:
    """Return the rows that are, or may be, on the API's bill."""
    sent = rows.filter(submitted_at__isnull=False).exclude(state=State.WAITING)
    return sent.exclude(estimated_usd=0)
