"""Read files of prompts: a table, JSON, or one prompt per line.

A prompt is read byte for byte. Tab-separated files are split at tabs and never unquoted, because
real prompts contain quotation marks; only CSV, and the UTF-16 that Excel writes, have quoting.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mulequeue.catalog import Model, Parameter
from mulequeue.cli import tables
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
_LINES = ".txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One prompt of a file."""

    input: Mapping[str, Any]
    where: str
    """Its place for messages: ``prompts.csv, line 3``."""
    cells: tuple[str, ...] = ()
    """Of a table, in the order of its header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFile:
    """The prompts of a file, in its order."""

    rows: tuple[Row, ...]
    header: tuple[str, ...] = ()
    """The columns of a table."""
    prompt_column: int | None = None
    parameter_columns: tuple[int, ...] = ()
    """Columns whose cells are parameters of the model."""

    @property
    def other_columns(self) -> list[int]:
        """Return the indexes of the columns that are neither the prompt nor a parameter."""
        used = {self.prompt_column, *self.parameter_columns}
        return [i for i, cell in enumerate(self.header) if i not in used and cell.strip()]

    def notes(self, *, quiet: bool) -> list[str]:
        """Return a note that names the columns other than the prompt; empty if there are none."""
        used = ", ".join(self.header[i].strip() for i in self.parameter_columns)
        others = ", ".join(self.header[i].strip() for i in self.other_columns)
        if quiet or not (used or others):
            return []
        return [
            f"Columns used as parameters: {used or 'none'}."
            + (f" Others: {others}." * bool(others))
        ]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The options for reading a file."""

    model: Model
    column: str | None = None
    """The column of the prompts; None: the model's name for it, mostly ``prompt``, in any case."""
    ignored: tuple[str, ...] = ()
    """Columns that are no parameters although they have the name of one."""
    encoding: str | None = None

    @property
    def wanted(self) -> str:
        """Return the name of the column of the prompts."""
        return self.model.prompt_field if self.column is None else self.column


def read_prompts(name: str, reading: Reading) -> PromptFile:
    """Return the prompts in a file.

    :param name: a path; ``-`` is standard input.
    :raises InputError: the file is missing, empty or unreadable, has no such column, or a row has no
        prompt or a cell that is no value of its parameter; the text names the line.
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

    :param name: the file's, for errors.
    :param suffix: of the file's name; an unknown one: the first line decides.
    :param is_quoted: cells between tabs are quoted as in CSV.
    """
    form = _BY_SUFFIX.get(suffix) or _detect(text, name, reading, only_tabs=suffix == _LINES)
    field = reading.model.prompt_field
    if form in ("json", "jsonl"):
        values = _array(text, name) if form == "json" else _objects(text, name)
        inputs = ((where, _input_of(value, where, field)) for where, value in values)
        return PromptFile(rows=tuple(Row(input=item, where=where) for where, item in inputs))
    if form == "lines":
        if reading.column is not None:
            raise InputError(f"{name} is not a table, so it has no column {reading.column!r}.")
        rows = ((f"{name}, line {number}", line) for number, line in tables.lines(text))
        return PromptFile(rows=tuple(Row(input={field: line}, where=at) for at, line in rows))
    if form == "tsv" and not is_quoted:
        return _table(tables.tsv_rows(text, name), name, reading, tables.TAB_ADVICE)
    delimiter = "\t" if form == "tsv" else tables.delimiter_of(text, name, reading.wanted)
    cells = tables.csv_rows(text, name, delimiter or tables.most_likely_delimiter(text))
    return _table(cells, name, reading, tables.QUOTE_ADVICE)


def _detect(text: str, name: str, reading: Reading, *, only_tabs: bool) -> Format:
    first = next((line for _, line in tables.lines(text)), "")
    header = [cell.strip().strip('"') for cell in first.split("\t")]
    is_known = tables.position(header, reading.wanted, name) is not None
    has_column, has_tabs = reading.column is not None, len(header) > 1
    if not only_tabs and first.lstrip().startswith(("{", '"')) and json_or(first, None) is not None:
        return "jsonl"
    if (is_known and has_tabs) or (has_column and (is_known or has_tabs)):
        return "tsv"
    if only_tabs:
        return "lines"
    return "csv" if tables.delimiter_of(text, name, reading.wanted) is not None else "lines"


# Tables


def _table(cells: tables.Rows, name: str, reading: Reading, advice: str) -> PromptFile:
    """Return the prompts of a table, with the parameters in its other columns.

    :param advice: for a row that does not fit the header.
    """
    _, header = next(cells, (0, []))
    if not header:
        return PromptFile(rows=())
    prompt = tables.column_of(header, reading.wanted, name, "--column")
    parameters = _parameters(header, prompt, name, reading)
    rows = []
    for number, row in tables.whole_rows(cells, header, prompt, name, advice):
        where = f"{name}, line {number}"
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


def _parameters(
    header: Sequence[str], prompt: int, name: str, reading: Reading
) -> dict[int, Parameter]:
    """Return the columns that have the name of a parameter, in any case."""
    known = {item.name.casefold(): item for item in reading.model.parameters.values()}
    known.pop(reading.model.prompt_field.casefold(), None)
    ignored = (
        tables.column_of(header, column, name, "--ignore-column") for column in reading.ignored
    )
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


def _objects(text: str, name: str) -> Iterator[tuple[str, Any]]:
    for number, line in tables.lines(text):
        where = f"{name}, line {number}"
        yield where, _loads(line, f"{where},")


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
