"""Read files of prompts: a table, JSON, or one prompt per line.

A prompt is read byte for byte. Tab-separated files are split on tabs and never unquoted, because
real prompts contain quotation marks; only CSV has quoting.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from mulequeue.errors import InputError

Format = Literal["tsv", "csv", "jsonl", "json", "lines"]

_BY_SUFFIX: dict[str, Format] = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".txt": "lines",
}
_MAX_COLUMNS_NAMED = 20


def read_inputs(
    name: str, *, column: str | None = None, prompt_field: str = "prompt"
) -> list[dict[str, Any]]:
    """Return the inputs in a file, in its order.

    :param name: a path; ``-`` is standard input.
    :param column: the column of a table; None: ``prompt``, in any case.
    :param prompt_field: the input field for a prompt.
    :raises InputError: the file is missing, empty, unreadable or not UTF-8, has no such column, or a
        row has no prompt; the text names the line.
    """
    text = read_text(name)
    suffix = "" if name == "-" else Path(name).suffix.lower()
    inputs = list(parse(text, _display(name), _BY_SUFFIX.get(suffix), column, prompt_field))
    if not inputs:
        raise InputError(f"{_display(name)} holds no prompts.")
    return inputs


def read_text(name: str) -> str:
    """Return the text of a file, or of standard input (``-``), without a byte order mark.

    :raises InputError: it cannot be read, or is not UTF-8 (with the line).
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as exc:
        raise InputError(f"{name} cannot be read: {exc.strerror}.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise InputError(
            f"{_display(name)}, line {line}, is not UTF-8 (byte {data[exc.start]:#04x}). "
            "Save the file as UTF-8."
        ) from None


def _display(name: str) -> str:
    return "standard input" if name == "-" else name


def parse(
    text: str, name: str, form: Format | None, column: str | None, prompt_field: str
) -> Iterator[dict[str, Any]]:
    """Return the inputs in a text.

    :param name: the file's, for errors.
    :param form: None: detected from the first line.
    """
    form = form or _detect(text, column)
    if form in ("json", "jsonl"):
        values = _array(text, name) if form == "json" else _objects(text, name)
        yield from (_input_of(value, where, prompt_field) for where, value in values)
    elif form == "lines":
        if column is not None:
            raise InputError(f"{name} is not a table, so it has no column {column!r}.")
        yield from ({prompt_field: line} for _, line in _lines(text))
    else:
        rows = _csv_rows(text, name) if form == "csv" else _tsv_rows(text)
        yield from ({prompt_field: prompt} for prompt in _cells(rows, name, column))


def _detect(text: str, column: str | None) -> Format:
    first = next((line for _, line in _lines(text)), "")
    if first.lstrip().startswith(("{", '"')) and _is_json(first):
        return "jsonl"
    formats: list[tuple[Format, str]] = [("tsv", "\t"), ("csv", ",")]
    for form, separator in formats:
        names = [cell.strip().strip('"') for cell in first.split(separator)]
        if _position(names, column) is not None and (len(names) > 1 or column is not None):
            return form
    return "tsv" if column is not None and "\t" in first else "lines"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Return number and text of the lines that are not blank.

    Only line feeds separate lines: a prompt may contain every other separator.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line.removesuffix("\r")


# Tables


def _tsv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    return ((number, line.split("\t")) for number, line in _lines(text))


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as exc:
        raise InputError(f"{name}, line {reader.line_num}: {exc}.") from None


def _cells(rows: Iterator[tuple[int, list[str]]], name: str, column: str | None) -> Iterable[str]:
    """Return the cells of the column, below the header."""
    _, header = next(rows, (0, []))
    if not header:
        return
    position = _position(header, column)
    if position is None:
        named = ", ".join(repr(cell[:40]) for cell in header[:_MAX_COLUMNS_NAMED])
        raise InputError(
            f"{name} has no column {column or 'prompt'!r}. It has {named}; choose one with --column."
        )
    for number, row in rows:
        if len(row) <= position or not row[position].strip():
            raise InputError(
                f"{name}, line {number}, has nothing in the column {header[position]!r}. "
                "Fill it in or remove the line."
            )
        yield row[position]


def _position(header: Sequence[str], column: str | None) -> int | None:
    """Return the index of the column: by its exact name, else by its name in any case."""
    wanted = column if column is not None else "prompt"
    if wanted in header:
        return list(header).index(wanted)
    folded = [cell.strip().casefold() for cell in header]
    wanted = wanted.strip().casefold()
    return folded.index(wanted) if wanted in folded else None


# JSON


def _objects(text: str, name: str) -> Iterator[tuple[str, Any]]:
    for number, line in _lines(text):
        where = f"{name}, line {number},"
        yield where, _loads(line, where)


def _array(text: str, name: str) -> Iterator[tuple[str, Any]]:
    values = _loads(text, name)
    if not isinstance(values, list):
        raise InputError(f"{name} must hold a JSON array of prompts or input objects.")
    for number, value in enumerate(values, 1):
        yield f"{name}, item {number},", value


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
    raise InputError(f"{where} must be an input object or a prompt, not {json.dumps(value)[:60]}.")
