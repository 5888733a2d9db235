"""Replace lone surrogates (halves of a surrogate pair), which are not valid in Unicode text.

Programs that count in UTF-16 (JavaScript, Java) may cut a text in the middle of an emoji. JSON can express
the remaining half. UTF-8 cannot, so Redis, databases, logs and web pages cannot store or show it.
"""

from __future__ import annotations

import re
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


def valid_text(text: str) -> str:
    """Return the text with U+FFFD in place of each lone surrogate."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def valid_json(value: Any) -> Any:
    """Return a JSON value with :func:`valid_text` in place of each key and string."""
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, dict):
        return {valid_text(key): valid_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [valid_json(item) for item in value]
    return value
