"""Ids that callers choose: text, or UUIDs, which are used as their text."""

from __future__ import annotations

import uuid
from typing import Any

from mulequeue.errors import InputError

RESERVED_PREFIXES = ("transfer:", "gate:")
"""The ledger uses these for entries that are not generations."""
_MAX_CHARACTERS = 200


def id_text(value: Any, name: str = "task_id") -> str:
    """Return an id as text.

    :param name: of the argument, for the error.
    :raises InputError: it is neither text nor a UUID.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, uuid.UUID):
        return str(value)
    raise InputError(
        f"{name} is {value!r}, of type {type(value).__name__}; it must be text or a UUID. "
        f"Pass {name}=str(…)."
    )


def check_task_id(value: Any, name: str = "task_id") -> str:
    """Return the id of a generating task or of a batch as text.

    :param name: of the argument, for the error.
    :raises InputError: it is neither text nor a UUID, or the ledger uses its prefix.
    """
    text = id_text(value, name)
    if text.startswith(RESERVED_PREFIXES):
        raise InputError(
            f"{name} must not start with {' or '.join(map(repr, RESERVED_PREFIXES))}, which the ledger "
            "uses for other entries. Choose another id."
        )
    return text


def check_remote_id(value: Any) -> str:
    """Return the API's id of an existing generation as text.

    :raises InputError: no status check can ask for it.
    """
    text = id_text(value, "remote_id")
    if not 0 < len(text) <= _MAX_CHARACTERS or not text.isprintable() or " " in text:
        problem = (
            f"it must have 1 to {_MAX_CHARACTERS} characters, without spaces and control characters"
        )
    elif text.startswith("/") or "://" in text:
        problem = "pass the id alone; the path is the argument before it"
    else:
        return text
    raise InputError(f"remote_id {text[:_MAX_CHARACTERS]!r} cannot be asked for: {problem}.")
