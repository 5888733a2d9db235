"""Decode the JSON of responses and webhooks, and find the id of a generation in a damaged response."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from mulequeue.catalog.valid_text import valid_json

# NaN and Infinity are not valid JSON, and databases would reject them, so they are read as None.
_decoder = json.JSONDecoder(parse_constant=lambda _: None)
_MOST_TRIES = 50
_lenient_decoder = json.JSONDecoder(strict=False, parse_constant=lambda _: None)
_TASK_INFO = re.compile(r'"task_info"\s*:\s*(?=\{)')
_ID = re.compile(r'"task_info"\s*:\s*\{[^{}]*?"(?:id|task_id)"\s*:\s*"([^"\\]+)"')


def read_json(body: bytes | bytearray) -> Any:
    """Return the JSON value of a body, with U+FFFD in place of invalid bytes and lone surrogates.

    :raises ValueError: the body is not JSON.
    :raises RecursionError: the JSON is nested too deeply.
    """
    encoding = json.detect_encoding(body)
    try:
        text = body.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        text = body.decode(encoding, "replace")
    value = _decoder.decode(text)
    # ASCII without a \u escape contains no surrogate. Nearly all responses are of this form.
    return value if text.isascii() and "\\u" not in text else valid_json(value)


def find_task(body: bytes | bytearray, *, is_success: bool = True) -> dict[str, Any] | None:
    """Return the object with the ``task_info`` of a generation and its id, or None.

    The object may be preceded or followed by other text, nested, or cut after the id.

    :param body: of a response to a create request, in any Unicode encoding or Latin-1.
    :param is_success: True if the HTTP status is 2xx; then the fields of ``task_info`` may also be at the root.
    """
    text = _decode(body)
    whole = _object_at(text, text.find("{"))
    if _has_id(whole.get("task_info")):
        return whole
    if is_success and _has_id(whole) and "error" not in whole:
        return {"task_info": whole}
    for found in islice(_TASK_INFO.finditer(text), _MOST_TRIES):
        info = _object_at(text, found.end())
        if _has_id(info):
            return {"task_info": info}
    cut = _ID.search(text)
    return None if cut is None else {"task_info": {"id": cut[1]}}


def _decode(body: bytes | bytearray) -> str:
    encoding = json.detect_encoding(body)
    try:
        return body.decode(encoding)
    except UnicodeDecodeError:
        # UTF-16 and UTF-32 are detected by a byte order mark or zero bytes, so there only the end is damaged.
        is_utf8 = encoding.startswith("utf-8")
        return body.decode("latin-1") if is_utf8 else body.decode(encoding, "replace")


def _object_at(text: str, start: int) -> dict[str, Any]:
    try:
        value = valid_json(_lenient_decoder.raw_decode(text, start)[0]) if start >= 0 else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _has_id(info: Any) -> bool:
    return isinstance(info, dict) and remote_id_of(info) is not None


def remote_id_of(info: Mapping[str, Any]) -> str | None:
    """Return the id in a ``task_info``, or None. One page of the documentation shows ``task_id`` for ``id``."""
    value = info.get("id") or info.get("task_id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None
