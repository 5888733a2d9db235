"""One error or warning about an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_LONGEST = 40
SOURCES = "the API's documentation and clients"


@dataclass(frozen=True, slots=True)
class Finding:
    """One error or warning about an input."""

    where: str
    """The parameter, such as ``voice_setting.speed`` or ``images[2]``."""
    text: str
    """The message, without a full stop at its end."""
    is_certain: bool = False
    """True: all sources agree, so it is an error; False: it is a warning."""


def quote_value(value: Any) -> str:
    """Return a value for a message, cut to 40 characters so that it shows no content of a file."""
    if isinstance(value, str):
        start = value[:_LONGEST]
        return repr(start) if len(value) <= _LONGEST else f"{start!r}…"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, (int, float)):
        return repr(value)[:_LONGEST]
    return f"a {type(value).__name__}"
