"""Split the text of a table into rows and cells, and find its columns."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from mulequeue.errors import InputError

Rows = Iterator[tuple[str, list[str]]]
"""The place of each row for messages, and its cells."""
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_MAX_COLUMNS_NAMED = 20
_DECLARED = "sep="
_QUOTED = re.compile(r'"[^"]*(""[^"]*)+"')


def lines(text: str, name: str) -> Iterator[tuple[str, str]]:
    """Iterate over place and text of the lines that are not blank.

    Only line feeds separate lines, or carriage returns if the text has no line feed, because a prompt may
    contain any other line separator.
    """
    for number, line in enumerate(text.split("\n" if "\n" in text else "\r"), 1):
        if line.strip():
            yield f"{name}, line {number}", line.removesuffix("\r")


def tsv_rows(text: str, name: str) -> Rows:
    """Split lines at tabs; quotation marks are text.

    :raises InputError: a cell is quoted as in CSV: in quotation marks, and with doubled ones inside.
    """
    for where, line in lines(text, name):
        row = line.split("\t")
        if any(_QUOTED.fullmatch(cell) for cell in row):
            raise InputError(
                f"{where}, has a cell in quotation marks, with doubled ones inside. "
                "If they are the quoting of a spreadsheet, name the file .csv."
            )
        yield where, row


def csv_rows(text: str, name: str, delimiter: str) -> Rows:
    """Split text as CSV, without blank rows and without a first line ``sep=…``, which declares the delimiter.

    :raises InputError: the quotation marks of a row are invalid.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    try:
        for row in reader:
            is_declaration = begins == 1 and row[:1] == [_DECLARED]
            if any(cell.strip() for cell in row) and not is_declaration:
                yield f"{name}, line {begins}", row
            begins = reader.line_num + 1
    except csv.Error as exc:
        raise InputError(
            f"{name}, line {begins}: the row that begins there is not CSV ({exc}). Put quotation marks at "
            "both ends of a cell, and double those inside of it."
        ) from None


def delimiter_of(text: str, name: str, wanted: str) -> str | None:
    """Return the delimiter of a line ``sep=…``, else the one that gives the header the wanted column, else None.

    :raises InputError: the header has the column with several delimiters.
    """
    if text.startswith(_DECLARED) and text[len(_DECLARED) :][:1] in DELIMITERS:
        return text[len(_DECLARED)]
    fitting = [
        delimiter
        for delimiter in DELIMITERS
        if len(header := header_of(text, delimiter)) > 1
        and position(header, wanted, name) is not None
    ]
    if len(fitting) > 1:
        ways = " and at ".join(DELIMITERS[delimiter] for delimiter in fitting)
        raise InputError(
            f"{name}, line 1: the header can be split at {ways}. "
            "Put quotation marks around each name of a column."
        )
    return fitting[0] if fitting else None


def header_of(text: str, delimiter: str) -> list[str]:
    """Return the cells of the first row; an empty list if there is none or its quotation marks are invalid."""
    try:
        return next(csv_rows(text, "", delimiter), ("", []))[1]
    except InputError:
        return []


def position(header: Sequence[str], wanted: str, name: str) -> int | None:
    """Return the index of the column with exactly this name, else with this name in any case, else None.

    :raises InputError: several columns have the name.
    """
    folded = wanted.strip().casefold()
    exact = [i for i, cell in enumerate(header) if cell == wanted]
    found = exact or [i for i, cell in enumerate(header) if cell.strip().casefold() == folded]
    if len(found) > 1:
        raise InputError(f"{name} has {len(found)} columns {wanted!r}. Rename all but one.")
    return found[0] if found else None


def column_of(header: Sequence[str], wanted: str, name: str, option: str) -> int:
    """Return the index of a column.

    :param option: the option that selects another column, for the message.
    :raises InputError: the table has no column of that name, or several.
    """
    found = position(header, wanted, name)
    if found is None:
        named = ", ".join(repr(cell[:40]) for cell in header[:_MAX_COLUMNS_NAMED])
        raise InputError(
            f"{name} has no column {wanted!r}. It has {named}; choose one with {option}."
        )
    return found
