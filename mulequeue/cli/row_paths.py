"""File names from the columns of a table: the option ``--path``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from string import Formatter
from typing import Any

from mulequeue.cli.prompts import PromptFile, Row
from mulequeue.errors import ConfigurationError, InputError
from mulequeue.transfer.path_template import NAMES, member_templates, path_part

_ROW, _PROMPT = "row", "prompt"
_NUMBERED = re.compile(r"-[0-9]+(?=\.|$)")


Part = tuple[str, str | None, int | None]
"""A text, the name of the placeholder after it, and the index of the column with that name."""


def row_templates(
    template: str, prompts: PromptFile, inputs: Sequence[Mapping[str, Any]], prompt_field: str
) -> tuple[str, ...]:
    """Return one path template per row, with the values of the row inserted.

    :raises InputError: the template is invalid, a placeholder is unknown or ambiguous (two columns, or a column and
        a name of the setting), a required cell is empty, or two rows would write the same file. For the last two
        the text names the lines.
    """
    parts = _parts(template, prompts.header)
    rows = list(zip(prompts.rows, inputs, strict=True))
    found = tuple(
        "".join(_filled(parts, row, number, str(given.get(prompt_field, ""))))
        for number, (row, given) in enumerate(rows, 1)
    )
    _check_different(found, prompts.rows, inputs)
    try:
        member_templates(found, len(found))
    except ConfigurationError as exc:
        raise InputError(f"--path {template!r}: {exc}") from None
    return found


def _parts(template: str, header: Sequence[str]) -> list[Part]:
    """Split a template into parts. Names of ``mulequeue_storage_path`` stay: they are replaced for each file.

    :raises InputError: the template is invalid, or a name is unknown or ambiguous.
    """
    columns = [cell.strip().casefold() for cell in header]
    parts: list[Part] = []
    try:
        for literal, name, spec, conversion in Formatter().parse(template):
            text = literal.replace("{", "{{").replace("}", "}}")
            spec = f"!{conversion}:{spec}" if conversion else f":{spec}" if spec else ""
            wanted = (name or "").strip().casefold()
            found = [i for i, cell in enumerate(columns) if wanted and cell == wanted]
            if name is not None:
                _check_name(template, name, spec, header, found)
            if name in NAMES:
                parts.append((f"{text}{{{name}{spec}}}", None, None))
            else:
                parts.append((text, name, found[0] if found else None))
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


def _filled(parts: Sequence[Part], row: Row, number: int, prompt: str) -> Iterator[str]:
    """Iterate over the parts of one row's path template; raise InputError if a cell in it is empty."""
    for text, name, column in parts:
        yield text
        if name == _ROW and column is None:
            yield str(number)
        elif name is not None:
            value = (prompt if column is None else row.cells[column]).strip()
            if not value:
                raise InputError(
                    f"{row.where}, has nothing in {name!r}, which --path uses. Fill it in."
                )
            yield path_part(value)


def _check_different(
    templates: Sequence[str], rows: Sequence[Row], inputs: Sequence[Mapping[str, Any]]
) -> None:
    """Raise InputError if two rows write the same file, or could when one makes pictures that get a number."""
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
