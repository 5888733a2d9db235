"""Cells of a table as values of a model's parameters."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from mulequeue.catalog import Parameter
from mulequeue.catalog.parameters import FILE_KEY

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# Three digits after the point may be thousands.
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}(\.0{1,2})?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_WORDS = {
    "integer": "a whole number, such as 2",
    "number": "a number with a point, such as 0.5",
    "boolean": "true or false",
    "object": "a JSON object",
}


def cell_value(parameter: Parameter, cell: str) -> Any:
    """Return the value of a cell that is not empty.

    Text is kept as it is. A list is a JSON array, or one item. ``@PATH`` in a file's cell is a file to
    send, as with ``--param``.

    :raises ValueError: it is no such value; the text names what the parameter takes.
    """
    if not parameter.is_list:
        return _value(parameter, cell)
    text = cell.strip()
    if not text.startswith("["):
        return [_value(parameter, cell)]
    items = _json(text, "a JSON array")
    return [_value(parameter, item) if isinstance(item, str) else item for item in items]


def _value(parameter: Parameter, cell: str) -> Any:
    text, kind = cell.strip(), parameter.type
    for choice in (*parameter.values, *parameter.besides, *parameter.doubtful):
        if isinstance(choice, str) and choice == text:
            return choice
    if kind == "file" and text.startswith("@") and len(text) > 1:
        return {FILE_KEY: os.path.abspath(text[1:])}
    if kind == "boolean" and text.casefold() in _BOOLEANS:
        return _BOOLEANS[text.casefold()]
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(float(text)) if "." in text else int(text)
    if kind == "number" and _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    if kind == "object":
        value = _json(text, _WORDS[kind])
        if not isinstance(value, dict):
            raise ValueError(_WORDS[kind])
        return value
    if kind in _WORDS:
        raise ValueError(_WORDS[kind])
    if kind == "any":
        return _json_or_text(text, cell)
    return text if kind in ("file", "size") else cell


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(what) from None


def _json_or_text(text: str, cell: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return cell
