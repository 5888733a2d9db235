"""File names from the columns of a table: the option ``--path``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, NamedTuple

from mulequeue.cli.prompts import PromptFile, Row
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.transfer.path_template import NAMES, member_templates, path_part

_ROW, _PROMPT = "row", "prompt"
_NUMBERED = re.compile(r"-[0-9]+(?=\.|$)")


class _Part(NamedTuple):
    """A literal of a template, and the name in braces that follows it."""

    literal: str
    name: str | None
    spec: str
    column: int | None = None


def row_templates(
    template: str, prompts: PromptFile, inputs: Sequence[Mapping[str, Any]], prompt_field: str
) -> tuple[str, ...]:
    """Return the template of each row's files, with its columns filled in.

    :param template: with names of columns, ``{row}``, ``{prompt}``, and the names of
        ``mulequeue_storage_path``.
    :raises InputError: a name is unknown or means two things, a cell is empty, or two rows would have
        one file; the text names the lines.
    """
    parts = _parts(template, prompts.header)
    rows = list(zip(prompts.rows, inputs, strict=True))
    found = tuple(
        "".join(_filled(part, row, number, str(given.get(prompt_field, ""))) for part in parts)
        for number, (row, given) in enumerate(rows, 1)
    )
    _check_different(found, prompts.rows, inputs)
    try:
        member_templates(found, len(found))
    except ConfigurationError as exc:
        raise InputError(f"--path {template!r}: {exc}") from None
    return found


def _parts(template: str, header: Sequence[str]) -> list[_Part]:
    """Split a template, and find the column of each name.

    :raises InputError: a name is unknown, or is both a column and a name of every template.
    """
    columns = [cell.strip().casefold() for cell in header]
    parts = []
    try:
        for literal, name, spec, conversion in Formatter().parse(template):
            spec = f"!{conversion}:{spec}" if conversion else f":{spec}" if spec else ""
            found = [
                i for i, cell in enumerate(columns) if name and cell == name.strip().casefold()
            ]
            column = found[0] if found else None
            if name is not None:
                _check_name(template, name, spec, header, found)
            parts.append(_Part(literal, name, spec, column))
    except ValueError as exc:
        raise InputError(f"--path {template!r} cannot be filled in: {exc}.") from None
    return parts


def _check_name(
    template: str, name: str, spec: str, header: Sequence[str], found: Sequence[int]
) -> None:
    if len(found) > 1 or (found and name in NAMES):
        what = (
            f"{len(found)} columns" if len(found) > 1 else "a column and a name of every template"
        )
        raise InputError(f"--path {template!r}: {{{name}}} is {what}. Rename the column.")
    if not found and name not in (*NAMES, _ROW, _PROMPT):
        known = dict.fromkeys([*(cell.strip() for cell in header), _ROW, _PROMPT, *NAMES])
        names = ", ".join(f"{{{item}}}" for item in known if item)
        raise InputError(f"--path {template!r}: there is no {{{name}}}. Known: {names}.")
    if spec and name not in NAMES:
        raise InputError(f"--path {template!r}: {{{name}}} takes no format. Remove {spec!r}.")


def _filled(part: _Part, row: Row, number: int, prompt: str) -> str:
    """Return a part of the template for one row; a name of every template stays in it."""
    literal = part.literal.replace("{", "{{").replace("}", "}}")
    if part.name is None:
        return literal
    if part.column is None and part.name in NAMES:
        return f"{literal}{{{part.name}{part.spec}}}"
    if part.column is None and part.name == _ROW:
        return literal + str(number)
    value = (prompt if part.column is None else row.cells[part.column]).strip()
    if not value:
        raise InputError(
            f"{row.where}, has nothing in {part.name!r}, which --path uses. Fill it in."
        )
    return literal + path_part(value)


def _check_different(
    templates: Sequence[str], rows: Sequence[Row], inputs: Sequence[Mapping[str, Any]]
) -> None:
    """Raise InputError if two rows would have one file, also by the number of a second picture."""
    known: dict[str, int] = {}
    for index, template in enumerate(templates):
        first = known.setdefault(template.casefold(), index)
        if first != index:
            raise InputError(
                f"{rows[first].where}, and {rows[index].where}, would have the same file "
                f"{template!r}. Put a column into --path that is different in each row, or {{row}}."
            )
    for template, index in known.items():
        other = known.get(_NUMBERED.sub("", template, count=1))
        if other in (None, index) or "{index" in template or inputs[other].get("n") == 1:
            continue
        raise InputError(
            f"{rows[index].where}, could have the file of the second picture of {rows[other].where}: "
            f"{templates[index]!r}. Put {{index}} into --path, or set n to 1."
        )
