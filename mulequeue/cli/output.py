"""Sentences for people, on standard error: on a terminal they break between words."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import Any

import click

_MAX_WIDTH = 100


def print_message(text: str) -> None:
    """One or more lines; one that is indented is to be typed, and stays whole."""
    click.echo(wrap(text, sys.stderr), err=True)


def wrap(text: str, stream: Any, *, indent: int = 0) -> str:
    """The text, broken at the width of the terminal that the stream is; else as it is.

    Nothing that is to be copied is torn: words, ids, URLs and paths stay whole.

    :param indent: columns before the lines that were made.
    """
    if not stream.isatty():
        return text
    width = min(_MAX_WIDTH, shutil.get_terminal_size().columns)
    return "\n".join(_wrap_line(line, width, " " * indent) for line in text.split("\n"))


def _wrap_line(line: str, width: int, indent: str) -> str:
    if line.startswith("  ") or len(line) <= width:
        return line
    return textwrap.fill(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
