"""Read the errors of the API: code, title and detail in all their forms, and HTTP error responses."""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any, NamedTuple

from mulequeue.api.parsing.json_body import read_json
from mulequeue.outcome import ErrorInfo

MAX_TEXT = 500
# A response may quote the key that it rejects.
_API_KEY = re.compile(r"\b(sk-mr-|sk-|muk-)[\w-]{8,}")
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_TYPES = {
    401: "AuthenticationError",
    402: "InsufficientBalance",
    403: "AuthenticationError",
    429: "RateLimited",
}
_BLOCKED = "The edge in front of the API blocked the request; the key may still be valid"
_NO_SUCH_ID = 2005
_MAX_JSON = 1024**2
_MAX_PAGE = 16 * 1024
_MAX_RETRY_AFTER_SECONDS = 3600.0


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
    """Return the detail as text, or None. One site writes ``None (request_id: …)`` if there is no detail."""
    if not value:
        return None
    text = one_line(value if isinstance(value, str) else quote_value(value))
    return None if text and re.fullmatch(r"None( \(.*\))?", text) else text


def one_line(value: Any) -> str | None:
    """Return a text as one printable line of at most 500 characters, without API keys.

    Return None if the value is not text or is blank.
    """
    if not isinstance(value, str):
        return None
    # Cut first, because the text may be large. Keep four times the limit, because white space is removed next.
    text = _UNPRINTABLE.sub(" ", value[: 4 * MAX_TEXT]).strip()
    text = _API_KEY.sub(r"\1…", text)
    return (text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…") or None


def quote_value(value: Any) -> str:
    """Return a value as JSON text, or the name of its type if JSON cannot express it."""
    try:
        return json.dumps(value, default=str, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        return type(value).__name__


def read_error(status_code: int, headers: Mapping[str, str], body: bytes) -> ErrorInfo:
    """Convert an error response into an ErrorInfo. No body causes an exception.

    :param status_code: the HTTP status; it determines the ``type``, a class name of
        :mod:`mulequeue.errors`.
    :param headers: names may be in upper or lower case. ``Traceparent`` becomes the ``trace_id``.
    :param body: a problem object, a failed task, a plain ``message`` or ``error``, an HTML page, or empty.
    """
    given = {str(name).lower(): value for name, value in headers.items()}
    data = _parse_object(body)
    kind = _error_type(
        status_code, is_json=data is not None, has_retry_after="retry-after" in given
    )
    if data is None:
        title, detail, code = None, page_text(body), None
    else:
        info = data.get("task_info")
        error = info.get("error") if isinstance(info, dict) else None
        code, title, detail = read_reason(error, data.get("error"), data)
    if kind == "EdgeBlocked":
        title = _BLOCKED
    elif not title and not detail:
        title = f"The API returned {status_code} without a reason"
    return ErrorInfo(
        type=kind,
        code=code,
        title=title,
        detail=detail,
        trace_id=one_line(given.get("traceparent")),
        status_code=status_code,
    )


def is_gone(status_code: int, error: ErrorInfo) -> bool:
    """Return whether a 404 means that the id does not exist, rather than the path.

    The API may also return such a 404 for a generation that was created a moment ago.
    """
    text = f"{error.title} {error.detail}".lower()
    return status_code == 404 and (error.code == _NO_SUCH_ID or "does not exist" in text)


def retry_after_seconds(value: str | None, now: float) -> float | None:
    """Return the seconds of a ``Retry-After`` header, at most an hour.

    Return None if the header is missing, unreadable, or a date in the past.

    :param value: a number of seconds, or an HTTP date.
    :param now: unix seconds, for a date.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return min(float(text), _MAX_RETRY_AFTER_SECONDS)
    try:
        moment = email.utils.parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - now
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return min(seconds, _MAX_RETRY_AFTER_SECONDS) if seconds >= 0 else None


def _error_type(status_code: int, *, is_json: bool, has_retry_after: bool) -> str:
    if status_code == 403 and not is_json:
        return "EdgeBlocked"
    if status_code == 503 and has_retry_after:
        return "RateLimited"
    if status_code >= 500:
        return "ServerError"
    # Redirects are not followed, so they are errors as well.
    return _TYPES.get(status_code, "InvalidRequestError" if status_code >= 400 else "APIError")


def _parse_object(body: bytes) -> dict[str, Any] | None:
    try:
        data = read_json(body) if len(body) <= _MAX_JSON else None
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def page_text(body: bytes | bytearray) -> str | None:
    """Return the text at the beginning of a page (16 KiB) as one line, or None if there is no text."""
    text = body[:_MAX_PAGE].decode("utf-8", "replace")
    text = re.sub(r"(?is)<(script|style)\b.*?(</\1>|$)", " ", text)
    return one_line(re.sub(r"<[^<>]*>", " ", text))
