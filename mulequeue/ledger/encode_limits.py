"""Encode the limits of a profile for the Lua scripts."""

from __future__ import annotations

from typing import Any

from mulequeue.settings.profiles import Limits, Profile


def encode_limits(profile: Profile) -> dict[str, Any]:
    """Return the limits of a profile as the scripts read them."""
    models = {path: _encode(limits) for path, limits in profile.models.items()}
    return {"own": _encode(profile), "models": models}


def _encode(limits: Limits) -> dict[str, Any]:
    rates = {"1": limits.submissions_per_second, "60": limits.submissions_per_minute}
    found = {
        "in_flight": limits.max_in_flight,
        "rates": {window: most for window, most in rates.items() if most is not None} or None,
        "day": limits.max_per_day,
        "batch": limits.max_per_batch,
    }
    return {name: value for name, value in found.items() if value is not None}
