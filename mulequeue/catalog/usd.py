"""Amounts of US dollars. The ledger counts them in whole millionths."""

from __future__ import annotations

from decimal import Decimal


def micros_of(amount: Decimal) -> int:
    """Return an amount in millionths of a US dollar; a fraction of one is dropped."""
    return int(amount * 1_000_000)


def usd_of_micros(micros: int) -> Decimal:
    """Return an amount of the ledger in US dollars."""
    return Decimal(micros) / 1_000_000


def json_usd(amount: Decimal | None) -> float | None:
    """Return an amount as a number of JSON; None: it is unknown."""
    return None if amount is None else float(amount)


def format_usd(amount: Decimal) -> str:
    """Return an amount with at least two digits after the point: ``0.90 USD``, ``0.0325 USD``."""
    digits = max(2, -int(amount.normalize().as_tuple().exponent))
    return f"{amount:,.{digits}f} USD"
