"""What is given on the command line: ``--extra``, ``--input``, a prompt."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mulequeue.cli.prompts import read_text
from mulequeue.errors import InputError

EXTRA_HELP = (
    "An input field, as the API names it. VALUE is read as JSON, else as text; @PATH is a file to "
    "send (write '\"@text\"', with the quotes, for a text that starts with @). Repeatable."
)

VALIDATE_HELP = (
    "strict refuses what the model does not take, warn only tells, off does not look.  "
    "[default: the setting mulequeue_validate]"
)


def extras(pairs: Iterable[str]) -> dict[str, Any]:
    """The input fields of ``--extra KEY=VALUE``; ``@path`` becomes a file marker.

    :raises InputError: no ``=``, or no key.
    """
    fields = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--extra {pair!r} must read KEY=VALUE, for example --extra n=2.")
        fields[key] = _value(text)
    return fields


def _value(text: str) -> Any:
    if text.startswith("@") and len(text) > 1:
        return {"$file": os.path.abspath(text[1:])}
    try:
        return json.loads(text)
    except ValueError:
        return text


def input_object(name: str) -> dict[str, Any]:
    """The JSON object in a file; ``-`` is standard input.

    :raises InputError: unreadable, not JSON, or no object.
    """
    try:
        value = json.loads(read_text(name))
    except ValueError as exc:
        raise InputError(f"--input {name} is not JSON: {exc}.") from None
    if not isinstance(value, dict):
        raise InputError(
            f"--input {name} must hold a JSON object, "
            f'such as {{"prompt": "a mule at dawn"}}, not {json.dumps(value)[:60]}.'
        )
    return value


def folders_of(pairs: Iterable[str]) -> tuple[str, ...]:
    """The folders of the files that were typed as ``@path``."""
    paths = (pair.partition("=")[2] for pair in pairs)
    return tuple(
        {str(Path(path[1:]).resolve().parent): None for path in paths if path.startswith("@")}
    )
