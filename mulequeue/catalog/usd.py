"""Convert amounts of US dollars. The ledger stores them as whole millionths of a dollar."""

from __future__ import annotations

from decimal import Decimal


def micros_of(amount: Decimal) -> int:
    """Return an amount in whole millionths of a US dollar, rounded down."""
    return int(amount * 1_000_000)


def usd_of_micros(micros: int) -> Decimal:
    """Return an amount of the ledger, in millionths, as US dollars."""
    return Decimal(micros) / 1_000_000


def json_usd(amount: Decimal | None) -> float | None:
    """Return an amount as a JSON number. None, an unknown amount, stays None."""
    return None if amount is None else float(amount)


def format_usd(amount: Decimal) -> str:
    """Return an amount with at least two digits after the point: ``0.90 USD``, ``0.0325 USD``."""
    digits = max(2, -int(amount.normalize().as_tuple().exponent))
    return f"{amount:,.{digits}f} USD"
