"""Text on standard output and standard error: messages, JSON, columns and wrapping."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.cells import cell_len, set_cell_size

from mulequeue.settings.redaction import redact

_MAX_WIDTH = 100


def one_line(text: str) -> str:
    """Return text in one line, without control characters, and with passwords in URLs masked."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return redact(" ".join(printable.split()))


def print_message(text: str) -> None:
    """Print a message on standard error, wrapped. Indented lines are commands and are not wrapped."""
    click.echo(wrap(text, sys.stderr), err=True)


def print_json(value: Any) -> None:
    """Print one JSON value on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False))


def json_keys(names: Iterable[str]) -> str:
    """Format the keys of a JSON object for a help text: ``{"task_id", "status"}``."""
    return "{" + ", ".join(f'"{name}"' for name in names) + "}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as lines, with cells of equal width in each column."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(set_cell_size, row, widths)).rstrip() for row in rows]


def cut(text: str, width: int) -> str:
    """Return the text, cut to a width in terminal cells; a cut text ends in an ellipsis."""
    if cell_len(text) <= width:
        return text
    return f"{set_cell_size(text, max(0, width - 1)).rstrip()}…"


def is_rich(stream: Any) -> bool:
    """Return whether a stream is a terminal that may show colours and move its cursor."""
    return bool(stream.isatty()) and not is_plain()


def is_plain() -> bool:
    """Return whether the environment asks for text without colours: NO_COLOR, or TERM=dumb."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def labelled(label: str, text: object, width: int) -> str:
    """Return a label and a text that begins in column ``width`` and is wrapped on a terminal."""
    return wrap(f"{label:<{width}}{text}", sys.stdout, indent=width)


def print_rows(rows: Iterable[tuple[str, object]], width: int) -> None:
    """Print one line per label and text, except where the text is empty or None."""
    for label, text in rows:
        if text not in (None, ""):
            click.echo(labelled(label, text, width))


def text_width(stream: Any) -> int | None:
    """Return the width for text on a terminal, at most 100 columns; None: the stream is no terminal."""
    return min(_MAX_WIDTH, shutil.get_terminal_size().columns) if stream.isatty() else None


def wrap(text: str, stream: Any, *, indent: int = 0) -> str:
    """Wrap text at the width of a terminal; in a pipe it stays unchanged.

    Words, ids, URLs and paths are never split, so that they can be copied.

    :param indent: columns before the continuation lines.
    """
    width = text_width(stream)
    if width is None:
        return text
    return "\n".join(
        line if line.startswith("  ") else wrap_at(line, width, " " * indent)
        for line in text.split("\n")
    )


def wrap_at(line: str, width: int, indent: str) -> str:
    """Wrap a line between words, at a width in cells; the continuation lines are indented."""
    if cell_len(line) <= width:
        return line
    first, *words = line.split(" ")
    lines = [first]
    for word in words:
        if cell_len(f"{lines[-1]} {word}") <= width or not lines[-1].strip():
            lines[-1] += f" {word}"
        else:
            lines.append(indent + word)
    return "\n".join(part.rstrip() for part in lines)
