"""The fair key of a generation: what waiting submissions take turns by, such as the id of a customer."""

from __future__ import annotations

from typing import Any

from mulequeue.errors import InputError

MAX_FAIR_KEY_BYTES = 64
"""Of its UTF-8. Redis stores a small hash in half the memory if no value of it is longer."""


def check_fair_key(value: Any) -> str | None:
    """Return the fair key of a call; None: it has none.

    :raises InputError: it is not a short text.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise InputError(
            f"fair_key is of type {type(value).__name__}; it must be text. Pass fair_key=str(…), such as "
            "the id of a customer."
        )
    if not value.strip() or not value.isprintable() or len(value.encode()) > MAX_FAIR_KEY_BYTES:
        raise InputError(
            f"fair_key is {value[:MAX_FAIR_KEY_BYTES]!r}; it must be printable text of 1 to "
            f"{MAX_FAIR_KEY_BYTES} bytes. Use a short id, such as that of a customer."
        )
    return value
