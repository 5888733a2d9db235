"""The caller's own data of a generation, which travels from the call to everything that reports on it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mulequeue.errors import InputError

MAX_METADATA_BYTES = 1024
"""Of the JSON of a metadata object. Redis keeps it with the record, by default for seven days."""


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
    :param count: the number of members.
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
