"""Tables with a header: how they are split into cells, and what their columns are."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from mulequeue.errors import InputError

Rows = Iterator[tuple[int, list[str]]]
"""The line where each row begins, and its cells."""
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
QUOTE_ADVICE = (
    "In CSV, put quotation marks around a cell that holds a comma, a semicolon or a line break."
)
TAB_ADVICE = "A cell holds a tab or a line break; remove it, or quote the cells as in CSV and name the file .csv."
_MAX_COLUMNS_NAMED = 20
_DECLARED = "sep="
_QUOTED = re.compile(r'"[^"]*(""[^"]*)+"')


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Return number and text of the lines that are not blank.

    Only line feeds separate lines (carriage returns where there is no line feed): a prompt may contain
    every other separator.
    """
    for number, line in enumerate(text.split("\n" if "\n" in text else "\r"), 1):
        if line.strip():
            yield number, line.removesuffix("\r")


def tsv_rows(text: str, name: str) -> Rows:
    """Split lines at tabs; quotation marks are text.

    :raises InputError: a cell is quoted as a spreadsheet does it; the text has its line.
    """
    for number, line in lines(text):
        row = line.split("\t")
        if any(_QUOTED.fullmatch(cell) for cell in row):
            raise InputError(
                f"{name}, line {number}, has a cell in quotation marks, with doubled ones inside. "
                "If they are the quoting of a spreadsheet, name the file .csv."
            )
        yield number, row


def csv_rows(text: str, name: str, delimiter: str) -> Rows:
    """Split text as CSV. The line with which a spreadsheet declares its delimiter is left out.

    :raises InputError: the quotation marks of a row are wrong; the text has its line.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    try:
        for row in reader:
            is_declaration = begins == 1 and row[:1] == [_DECLARED]
            if any(cell.strip() for cell in row) and not is_declaration:
                yield begins, row
            begins = reader.line_num + 1
    except csv.Error as exc:
        raise InputError(
            f"{name}, line {begins}: the row that begins there is not CSV ({exc}). Put quotation marks at "
            "both ends of a cell, and double those inside of it."
        ) from None


def delimiter_of(text: str, name: str, wanted: str) -> str | None:
    """Return the delimiter that makes the wanted name a column of the header.

    :returns: None if no delimiter does.
    :raises InputError: several do.
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
    """Return the cells of the first row, or an empty list."""
    try:
        return next(csv_rows(text, "", delimiter), (0, []))[1]
    except InputError:
        return []


def most_likely_delimiter(text: str) -> str:
    """Return the delimiter that gives the header the most cells, for a table without the column."""
    return max(DELIMITERS, key=lambda delimiter: len(header_of(text, delimiter)))


def position(header: Sequence[str], wanted: str, name: str) -> int | None:
    """Return the index of a column: by its exact name, else by its name in any case.

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

    :param option: the option that names another one.
    :raises InputError: the table has no such column, or several.
    """
    found = position(header, wanted, name)
    if found is None:
        named = ", ".join(repr(cell[:40]) for cell in header[:_MAX_COLUMNS_NAMED])
        raise InputError(
            f"{name} has no column {wanted!r}. It has {named}; choose one with {option}."
        )
    return found


def whole_rows(rows: Rows, header: Sequence[str], prompt: int, name: str, advice: str) -> Rows:
    """Return the rows below the header.

    :param prompt: index of the column with the prompts.
    :param advice: for a row that does not fit.
    :raises InputError: a row does not fit the header, so its prompt may be cut, or has no prompt.
    """
    # The part of a prompt behind an unquoted comma may fall into a column without a name.
    unnamed = [i for i, cell in enumerate(header) if i > prompt and not cell.strip()]
    for number, row in rows:
        where = f"{name}, line {number},"
        if len(row) != len(header) or any(row[i].strip() for i in unnamed):
            raise InputError(
                f"{where} has {len(row)} cells for {len(header)} columns"
                f"{f' ({len(unnamed)} without a name)' if unnamed else ''}, so its prompt may be cut. "
                f"{advice}"
            )
        if not row[prompt].strip():
            raise InputError(
                f"{where} has nothing in the column {header[prompt]!r}. "
                "Fill it in or remove the line."
            )
        yield number, row
