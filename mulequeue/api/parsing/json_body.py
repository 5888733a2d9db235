"""Decode the JSON of a response or a webhook. Everything that arrives is read here first."""

from __future__ import annotations

import json
from typing import Any

from mulequeue.catalog.valid_text import valid_json

# NaN and Infinity are no JSON; what stores the value would reject them.
_decoder = json.JSONDecoder(parse_constant=lambda _: None)


def read_json(body: bytes | bytearray) -> Any:
    """Return the value in a body, with U+FFFD in place of what is not valid text.

    :raises ValueError: the body is not JSON. :raises RecursionError: it is nested too deeply.
    """
    encoding = json.detect_encoding(body)
    try:
        text = body.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        text = body.decode(encoding, "replace")
    value = _decoder.decode(text)
    # Without an escape and beyond ASCII there is no surrogate: true of nearly all responses.
    return value if text.isascii() and "\\u" not in text else valid_json(value)
