"""Validate the values by which callers name a generation: ids, the fair key, and their own data."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from mulequeue.errors import InputError

RESERVED_PREFIXES = ("transfer:", "gate:")
"""The ledger uses these for entries that are not generations."""
_MAX_CHARACTERS = 200

MAX_FAIR_KEY_BYTES = 64
"""Of its UTF-8. Redis stores a small hash in half the memory if no value of it is longer."""
MAX_METADATA_BYTES = 1024
"""Of the JSON of a metadata object. Redis keeps it with the record, by default for seven days."""


def id_text(value: Any, name: str = "task_id") -> str:
    """Return an id as text.

    :raises InputError: the argument ``name`` is neither text nor a UUID.
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

    :raises InputError: the argument ``name`` is neither text nor a UUID, or the ledger uses its prefix.
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


def check_metadata(value: Any) -> Mapping[str, Any]:
    """Return the metadata of a call.

    :raises InputError: it is not a small JSON object.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InputError(
            'metadata must be an object (a dict with text as keys), such as {"sku": "A-1"}.'
        )
    size = len(metadata_json(value).encode())
    if size > MAX_METADATA_BYTES:
        raise InputError(
            f"metadata has {size:,} bytes as JSON; at most {MAX_METADATA_BYTES:,} are kept. Keep an id "
            "in it, and the rest in your own database."
        )
    return value


def member_metadata(value: Any, count: int) -> list[Mapping[str, Any]]:
    """Return the metadata of each member of a batch.

    :param value: one object for all, or one per member.
    :raises InputError: one is invalid (the text has its index), or there are not as many as members.
    """
    if value is None or isinstance(value, Mapping):
        return [check_metadata(value)] * count
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != count:
        given = f"{len(value)} objects" if isinstance(value, list) else type(value).__name__
        raise InputError(
            f"metadata is {given} for {count} inputs. Give one object for all, or a list with one per "
            "input."
        )
    checked = []
    for index, item in enumerate(value):
        try:
            checked.append(check_metadata(item))
        except InputError as exc:
            raise InputError(f"metadata[{index}]: {exc}") from None
    return checked


def metadata_json(value: Mapping[str, Any]) -> str:
    """Return the metadata as its record keeps it; empty for none.

    :raises InputError: it cannot be written as JSON.
    """
    if not value:
        return ""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise InputError(
            f"metadata cannot be written as JSON: {exc}. Use text and numbers."
        ) from None
    return text
