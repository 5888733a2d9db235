"""Read code, title and detail of an error, in all forms that the API uses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

MAX_TEXT = 500
# A response may quote the key that it rejects.
_API_KEY = re.compile(r"\b(sk-mr-|sk-|muk-)[\w-]{8,}")
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


class Reason(NamedTuple):
    """The API's description of an error."""

    code: int | None
    title: str | None
    detail: str | None


def read_reason(*parts: Any) -> Reason:
    """Return code, title and detail, each from the first part that has it.

    :param parts: error objects or texts, the most specific first; other values are ignored.
    """
    code = title = detail = None
    for part in parts:
        if isinstance(part, str):
            title = title or one_line(part)
        elif isinstance(part, dict):
            code = _read_code(part) if code is None else code
            title = title or one_line(part.get("title")) or one_line(part.get("message"))
            detail = detail or _read_detail(part.get("detail"))
    return Reason(code, title, detail)


def _read_code(part: Mapping[str, Any]) -> int | None:
    for value in (part.get("code"), part.get("error_code")):
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            return int(value)
    return None


def _read_detail(value: Any) -> str | None:
    """Return the detail as text, or None; one site writes ``None (request_id: …)`` for none."""
    if not value:
        return None
    text = one_line(value if isinstance(value, str) else quote_value(value))
    return None if text and re.fullmatch(r"None( \(.*\))?", text) else text


def one_line(value: Any) -> str | None:
    """Return one printable line of at most 500 characters, without API keys; None if no text."""
    if not isinstance(value, str):
        return None
    # Cut first, because the text may be large; four times, because white space is removed next.
    text = _UNPRINTABLE.sub(" ", value[: 4 * MAX_TEXT]).strip()
    text = _API_KEY.sub(r"\1…", text)
    return (text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…") or None


def quote_value(value: Any) -> str:
    """Return a JSON value as text."""
    try:
        return json.dumps(value, default=str, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        return type(value).__name__
