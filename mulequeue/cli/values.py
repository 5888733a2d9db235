"""Values that a user types: for ``--param``, ``--metadata`` and ``--input``, and in the cells of a table."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mulequeue.catalog import Parameter
from mulequeue.catalog.parameters import FILE_KEY
from mulequeue.cli.text_files import read_bytes
from mulequeue.engine.generation_call import check_metadata
from mulequeue.errors import InputError

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# Not three digits after the point: 1.000 may mean one thousand.
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}(\.0{1,2})?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_WORDS = {
    "integer": "a whole number, such as 2",
    "number": "a number with a point, such as 0.5",
    "boolean": "true or false",
    "object": "a JSON object",
}


def parse_params(pairs: Iterable[str]) -> dict[str, Any]:
    """Return the input fields of ``--param KEY=VALUE``; ``@path`` becomes a file marker.

    :raises InputError: a pair has no ``=`` or no key.
    """
    return {
        key: _file(text) if _is_file(text) else json_or(text, text)
        for key, text in _split(pairs, "--param", "n=2")
    }


def parse_metadata(pairs: Iterable[str]) -> dict[str, Any]:
    """Return the object of ``--metadata KEY=VALUE``.

    :raises InputError: a pair has no ``=`` or no key, or the object is too large.
    """
    return dict(check_metadata(dict(_split(pairs, "--metadata", "sku=A-1"))))


def _split(pairs: Iterable[str], option: str, example: str) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        key, _, text = pair.partition("=")
        if not key or "=" not in pair:
            raise InputError(
                f"{option} {pair!r} must be KEY=VALUE, for example {option} {example}."
            )
        yield key, text


def folders_of(pairs: Iterable[str]) -> tuple[str, ...]:
    """Return the folders of the files that were typed as ``@path``."""
    paths = (pair.partition("=")[2] for pair in pairs)
    folders = (str(Path(path[1:]).resolve().parent) for path in paths if path.startswith("@"))
    return tuple(dict.fromkeys(folders))


def read_object(name: str) -> dict[str, Any]:
    """Read the JSON object in a file; ``-`` is standard input.

    :raises InputError: the file cannot be read, is not JSON, or is not an object.
    """
    try:
        value = json.loads(read_bytes(name))
    except ValueError as exc:
        raise InputError(f"--input {name} is not JSON in UTF-8: {exc}.") from None
    if not isinstance(value, dict):
        raise InputError(
            f"--input {name} must hold a JSON object, "
            f'such as {{"prompt": "a mule at dawn"}}, not {json.dumps(value)[:60]}.'
        )
    return value


def cell_value(parameter: Parameter, cell: str) -> Any:
    """Return the value of a cell that is not empty.

    Text stays unchanged. For a list the cell is a JSON array or one item. For a file ``@PATH`` is a file to
    send, as with ``--param``.

    :raises ValueError: the cell has another type than the parameter; the text names what the parameter takes.
    """
    if not parameter.is_list:
        return _item(parameter, cell)
    text = cell.strip()
    if not text.startswith("["):
        return [_item(parameter, cell)]
    items = json_or(text, None)
    if items is None:
        raise ValueError("a JSON array")
    return [_item(parameter, item) if isinstance(item, str) else item for item in items]


def _item(parameter: Parameter, cell: str) -> Any:
    text, kind = cell.strip(), parameter.type
    for choice in (*parameter.values, *parameter.besides, *parameter.doubtful):
        if isinstance(choice, str) and choice == text:
            return choice
    if kind == "file" and _is_file(text):
        return _file(text)
    if kind == "boolean" and text.casefold() in _BOOLEANS:
        return _BOOLEANS[text.casefold()]
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(float(text)) if "." in text else int(text)
    if kind == "number" and _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    if kind == "object" and isinstance(value := json_or(text, None), dict):
        return value
    if kind in _WORDS:
        raise ValueError(_WORDS[kind])
    if kind == "any":
        return json_or(text, cell)
    return text if kind in ("file", "size") else cell


def _is_file(text: str) -> bool:
    return text.startswith("@") and len(text) > 1


def _file(text: str) -> dict[str, str]:
    return {FILE_KEY: os.path.abspath(text[1:])}


def json_or(text: str, other: Any) -> Any:
    """Return the JSON value of a text, or ``other`` if the text is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return other
