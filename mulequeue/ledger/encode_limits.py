"""Encode the limits of a profile for the Lua scripts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from mulequeue.catalog.usd import micros_of
from mulequeue.settings.profiles import Limits, Profile


def encode_limits(profile: Profile) -> dict[str, Any]:
    """Return the limits of a profile as the scripts read them."""
    models = {path: _encode(limits) for path, limits in profile.models.items()}
    return {"own": {**_encode(profile), **_encode_key_limits(profile)}, "models": models}


def _encode(limits: Limits) -> dict[str, Any]:
    rates = {"1": limits.submissions_per_second, "60": limits.submissions_per_minute}
    found: dict[str, Any] = {
        "in_flight": limits.max_in_flight,
        "rates": {window: most for window, most in rates.items() if most is not None} or None,
        "day": limits.max_per_day,
        "batch": limits.max_per_batch,
        "usd_day": _micros(limits.max_usd_per_day),
        "usd_batch": _micros(limits.max_usd_per_batch),
    }
    return {name: value for name, value in found.items() if value is not None}


def _encode_key_limits(profile: Profile) -> dict[str, Any]:
    found = {
        "key_in_flight": profile.max_in_flight_per_fair_key,
        "key_usd_day": _micros(profile.max_usd_per_day_per_fair_key),
    }
    return {name: value for name, value in found.items() if value is not None}


def _micros(usd: float | None) -> int | None:
    return None if usd is None else micros_of(Decimal(str(usd)))
