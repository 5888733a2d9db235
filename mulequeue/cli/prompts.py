"""Read files of prompts: a table, JSON, or one prompt per line.

A prompt is used exactly as the file contains it. Tab-separated files are split at tabs and never
unquoted, because real prompts contain quotation marks. Only CSV, and UTF-16 files, which Excel
writes, are unquoted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mulequeue.catalog import Model, Parameter
from mulequeue.cli.tables import (
    DELIMITERS,
    Rows,
    column_of,
    csv_rows,
    delimiter_of,
    header_of,
    lines,
    position,
    tsv_rows,
)
from mulequeue.cli.text_files import decode, display_name, read_bytes
from mulequeue.cli.values import cell_value, json_or
from mulequeue.errors import InputError

Format = Literal["tsv", "csv", "jsonl", "json", "lines"]

_BY_SUFFIX: dict[str, Format] = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
}
_QUOTE_ADVICE = (
    "In CSV, put quotation marks around a cell that holds a comma, a semicolon or a line break."
)
_TAB_ADVICE = "A cell holds a tab or a line break; remove it, or quote the cells as in CSV and name the file .csv."


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One prompt of a file."""

    input: Mapping[str, Any]
    where: str
    """The place of the prompt for messages: ``prompts.csv, line 3``."""
    cells: tuple[str, ...] = ()
    """The cells of a table's row, in the order of the header; empty for other files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFile:
    """The prompts of a file, in its order."""

    rows: tuple[Row, ...]
    header: tuple[str, ...] = ()
    """The names of a table's columns; empty for other files."""
    prompt_column: int | None = None
    parameter_columns: tuple[int, ...] = ()
    """Columns whose cells are parameters of the model."""

    def notes(self, *, quiet: bool) -> list[str]:
        """Return one note with the columns other than the prompt; none with ``quiet``, or without such columns."""
        used = ", ".join(self.header[i].strip() for i in self.parameter_columns)
        known = {self.prompt_column, *self.parameter_columns}
        rest = (cell.strip() for i, cell in enumerate(self.header) if i not in known)
        others = ", ".join(filter(None, rest))
        if quiet or not (used or others):
            return []
        more = f" Others: {others}." if others else ""
        return [f"Columns used as parameters: {used or 'none'}.{more}"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The options for reading a file."""

    model: Model
    column: str | None = None
    """The column of the prompts; None: the one named like the model's prompt field, mostly ``prompt``."""
    ignored: tuple[str, ...] = ()
    """Columns that are not used as parameters although they have the name of one."""
    encoding: str | None = None

    @property
    def wanted(self) -> str:
        """Return the name of the column of the prompts."""
        return self.model.prompt_field if self.column is None else self.column


def read_prompts(name: str, reading: Reading) -> PromptFile:
    """Return the prompts in a file.

    :param name: a path; ``-`` is standard input.
    :raises InputError: the file, a row or a cell cannot be used; for a row or a cell the text names the line.
    """
    text, codec = decode(read_bytes(name), display_name(name), reading.encoding)
    suffix = "" if name == "-" else Path(name).suffix.lower()
    is_quoted = codec.startswith("utf-16")
    found = parse(text, display_name(name), suffix, reading, is_quoted=is_quoted)
    if not found.rows:
        raise InputError(f"{display_name(name)} holds no prompts.")
    return found


def parse(
    text: str, name: str, suffix: str, reading: Reading, *, is_quoted: bool = False
) -> PromptFile:
    """Return the prompts in a text.

    :param suffix: of the file's name. If it is unknown, the first line decides on the format.
    :param is_quoted: True: the cells of a tab-separated file are quoted as in CSV.
    """
    form = _BY_SUFFIX.get(suffix) or _detect(text, name, reading, only_tabs=suffix == ".txt")
    if form == "tsv" and not is_quoted:
        return _table(tsv_rows(text, name), name, reading, _TAB_ADVICE)
    if form in ("tsv", "csv"):
        delimiter = "\t" if form == "tsv" else delimiter_of(text, name, reading.wanted)
        # Without the column: the delimiter that gives the header the most cells, for the error message.
        delimiter = delimiter or max(DELIMITERS, key=lambda item: len(header_of(text, item)))
        return _table(csv_rows(text, name, delimiter), name, reading, _QUOTE_ADVICE)
    values: Iterable[tuple[str, Any]] = lines(text, name)
    if form == "json":
        values = _array(text, name)
    elif form == "jsonl":
        values = ((where, _loads(line, f"{where},")) for where, line in lines(text, name))
    elif reading.column is not None:
        raise InputError(f"{name} is not a table, so it has no column {reading.column!r}.")
    field = reading.model.prompt_field
    rows = (Row(input=_input_of(value, where, field), where=where) for where, value in values)
    return PromptFile(rows=tuple(rows))


def _detect(text: str, name: str, reading: Reading, *, only_tabs: bool) -> Format:
    first = next((line for _, line in lines(text, name)), "")
    header = [cell.strip().strip('"') for cell in first.split("\t")]
    is_known = position(header, reading.wanted, name) is not None
    has_column, has_tabs = reading.column is not None, len(header) > 1
    if not only_tabs and first.lstrip().startswith(("{", '"')) and json_or(first, None) is not None:
        return "jsonl"
    if (is_known and has_tabs) or (has_column and (is_known or has_tabs)):
        return "tsv"
    if only_tabs:
        return "lines"
    return "csv" if delimiter_of(text, name, reading.wanted) is not None else "lines"


# Tables


def _table(cells: Rows, name: str, reading: Reading, advice: str) -> PromptFile:
    """Return the prompts of a table, with the parameters in its other columns.

    :param advice: ends the message about a row that does not fit the header.
    """
    _, header = next(cells, ("", []))
    if not header:
        return PromptFile(rows=())
    prompt = column_of(header, reading.wanted, name, "--column")
    parameters = _parameters(header, prompt, name, reading)
    rows = []
    for where, row in cells:
        _check_row(row, where, header, prompt, advice)
        item = {reading.model.prompt_field: row[prompt]}
        for index, parameter in parameters.items():
            if row[index].strip():
                item[parameter.name] = _cell(parameter, row[index], where, header[index].strip())
        rows.append(Row(input=item, where=where, cells=tuple(row)))
    return PromptFile(
        rows=tuple(rows),
        header=tuple(header),
        prompt_column=prompt,
        parameter_columns=tuple(parameters),
    )


def _check_row(
    row: Sequence[str], where: str, header: Sequence[str], prompt: int, advice: str
) -> None:
    """Raise InputError if a row does not fit the header, so that its prompt may be cut, or has no prompt."""
    # The part of a prompt after an unquoted comma may be in a column without a name.
    unnamed = [i for i, cell in enumerate(header) if i > prompt and not cell.strip()]
    if len(row) != len(header) or any(row[i].strip() for i in unnamed):
        without = f" ({len(unnamed)} without a name)" if unnamed else ""
        raise InputError(
            f"{where}, has {len(row)} cells for {len(header)} columns{without}, so its prompt may be "
            f"cut. {advice}"
        )
    if not row[prompt].strip():
        raise InputError(
            f"{where}, has nothing in the column {header[prompt]!r}. Fill it in or remove the line."
        )


def _parameters(
    header: Sequence[str], prompt: int, name: str, reading: Reading
) -> dict[int, Parameter]:
    """Return the columns that have the name of a parameter, in any case."""
    known = {item.name.casefold(): item for item in reading.model.parameters.values()}
    known.pop(reading.model.prompt_field.casefold(), None)
    ignored = (column_of(header, column, name, "--ignore-column") for column in reading.ignored)
    skipped = {prompt, *ignored}
    found: dict[int, Parameter] = {}
    for index, cell in enumerate(header):
        parameter = known.get(cell.strip().casefold())
        if parameter is None or index in skipped:
            continue
        if parameter in found.values():
            raise InputError(f"{name} has 2 columns {cell.strip()!r}. Rename all but one.")
        found[index] = parameter
    return found


def _cell(parameter: Parameter, cell: str, where: str, column: str) -> Any:
    try:
        return cell_value(parameter, cell)
    except ValueError as exc:
        raise InputError(
            f"{where}, column {column!r}: {parameter.name!r} takes {exc}, not {cell.strip()[:40]!r}. "
            f"Correct the cell; if the column is no parameter, add --ignore-column {column!r}."
        ) from None


# JSON


def _array(text: str, name: str) -> Iterator[tuple[str, Any]]:
    values = _loads(text, name)
    if not isinstance(values, list):
        raise InputError(f"{name} must hold a JSON array of prompts or input objects.")
    for number, value in enumerate(values, 1):
        yield f"{name}, item {number}", value


def _loads(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise InputError(f"{where} is not JSON: {exc}.") from None


def _input_of(value: Any, where: str, prompt_field: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and value.strip():
        return {prompt_field: value}
    raise InputError(f"{where}, must be an input object or a prompt, not {json.dumps(value)[:60]}.")
