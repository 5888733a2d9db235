"""Statistics of measured values."""

from __future__ import annotations

import statistics
from collections.abc import Iterable


def percentile(values: Iterable[float], percent: int) -> float:
    """Return a percentile of at least one value."""
    values = list(values)
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
