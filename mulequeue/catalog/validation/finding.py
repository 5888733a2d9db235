"""One thing that is wrong with an input, or may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Finding:
    """What the catalog has against an input."""

    where: str
    """The parameter, such as ``voice_setting.speed`` or ``images[2]``."""
    text: str
    """For people, without a full stop at its end."""
    is_certain: bool = False
    """Whether the sources agree; else it is a warning."""


def quote_value(value: Any) -> str:
    """A value in a message: short, and never what a file holds."""
    if isinstance(value, str):
        start = value[:_LONGEST]
        return repr(start) if len(value) <= _LONGEST else f"{start!r}…"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, (int, float)):
        return repr(value)[:_LONGEST]
    return f"a {type(value).__name__}"
