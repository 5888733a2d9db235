"""Files of prompts: a table, objects, or one prompt a line.

A prompt is taken byte for byte. Tab-separated files are split on tabs and never unquoted, because
real prompts contain quotation marks; only CSV has quoting.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
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
    """The inputs of a file, in its order.

    :param name: a path; ``-`` is standard input.
    :param column: of a table; None: the one called ``prompt``, in any case.
    :param prompt_field: the input field that a prompt goes into.
    :raises InputError: missing, empty or unreadable file, not UTF-8, no such column, a row without
        a prompt; the text names the line.
    """
    text = read_text(name)
    suffix = "" if name == "-" else Path(name).suffix.lower()
    inputs = list(parse(text, name, _BY_SUFFIX.get(suffix), column, prompt_field))
    if not inputs:
        raise InputError(f"{_shown(name)} holds no prompts.")
    return inputs


def parse(
    text: str, name: str, form: Format | None, column: str | None, prompt_field: str
) -> Iterator[dict[str, Any]]:
    """The inputs in a text.

    :param form: None: found out by looking at the first line.
    """
    form = form or _looks_like(text, column)
    if form == "json":
        yield from _array(text, name, prompt_field)
    elif form == "jsonl":
        yield from _objects(text, name, prompt_field)
    elif form == "lines":
        if column is not None:
            raise InputError(f"{_shown(name)} is no table, so it has no column {column!r}.")
        yield from ({prompt_field: line} for _, line in _lines(text) if line.strip())
    else:
        rows = _tab_rows(text) if form == "tsv" else _comma_rows(text, name)
        yield from ({prompt_field: prompt} for prompt in _cells(rows, name, column))


def read_text(name: str) -> str:
    """The text of a file, or of standard input (``-``), without a byte order mark.

    :raises InputError: it cannot be read, or is not UTF-8 (with the line).
    """
    return _decoded(_bytes_of(name), name)


def _bytes_of(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as exc:
        raise InputError(f"{name} cannot be read: {exc.strerror}.") from None


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise InputError(
            f"{_shown(name)}, line {line}, is not UTF-8 (byte {data[exc.start]:#04x}). "
            "Save the file as UTF-8."
        ) from None


def _looks_like(text: str, column: str | None) -> Format:
    first = next((line for _, line in _lines(text) if line.strip()), "")
    if first.lstrip().startswith(("{", '"')) and _is_json(first):
        return "jsonl"
    for form, separator in (("tsv", "\t"), ("csv", ",")):
        names = [cell.strip().strip('"') for cell in first.split(separator)]
        if _position(names, column) is not None and (len(names) > 1 or column is not None):
            return form  # type: ignore[return-value]
    return "tsv" if column is not None and "\t" in first else "lines"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Number and text of every line. Only line feeds part lines: a prompt may hold anything else."""
    for number, line in enumerate(text.split("\n"), 1):
        yield number, line.removesuffix("\r")


# Tables


def _tab_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in _lines(text):
        if line.strip():
            yield number, line.split("\t")


def _comma_rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as exc:
        raise InputError(f"{_shown(name)}, line {reader.line_num}: {exc}.") from None


def _cells(rows: Iterator[tuple[int, list[str]]], name: str, column: str | None) -> Iterator[str]:
    """The cells of the column, below the header."""
    _, header = next(rows, (0, []))
    if not header:
        return
    position = _position(header, column)
    if position is None:
        raise InputError(_no_column(name, column, header))
    for number, row in rows:
        if len(row) <= position or not row[position].strip():
            raise InputError(
                f"{_shown(name)}, line {number}, has nothing in the column {header[position]!r}. "
                "Fill it in or take the line out."
            )
        yield row[position]


def _position(header: Sequence[str], column: str | None) -> int | None:
    """Where the column is: by its exact name, else by the name in any case."""
    wanted = column if column is not None else "prompt"
    if wanted in header:
        return list(header).index(wanted)
    folded = [cell.strip().casefold() for cell in header]
    wanted = wanted.strip().casefold()
    return folded.index(wanted) if wanted in folded else None


def _no_column(name: str, column: str | None, header: Sequence[str]) -> str:
    named = ", ".join(repr(cell[:40]) for cell in header[:_MAX_COLUMNS_NAMED])
    wanted = f"no column {column!r}" if column is not None else "no column 'prompt'"
    return f"{_shown(name)} has {wanted}. It has {named}; choose one with --column."


# Objects


def _objects(text: str, name: str, prompt_field: str) -> Iterator[dict[str, Any]]:
    for number, line in _lines(text):
        if line.strip():
            where = f"{_shown(name)}, line {number},"
            try:
                value = json.loads(line)
            except ValueError as exc:
                raise InputError(f"{where} is not JSON: {exc}.") from None
            yield _input_of(value, where, prompt_field)


def _array(text: str, name: str, prompt_field: str) -> Iterator[dict[str, Any]]:
    try:
        values = json.loads(text)
    except ValueError as exc:
        raise InputError(f"{_shown(name)} is not JSON: {exc}.") from None
    if not isinstance(values, list):
        raise InputError(f"{_shown(name)} must hold a JSON array of prompts or input objects.")
    for number, value in enumerate(values, 1):
        yield _input_of(value, f"{_shown(name)}, item {number},", prompt_field)


def _input_of(value: Any, where: str, prompt_field: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and value.strip():
        return {prompt_field: value}
    raise InputError(f"{where} must be an input object or a prompt, not {json.dumps(value)[:60]}.")


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name
