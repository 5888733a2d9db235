"""Standard output, standard error, and errors as one line that names the fix."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from mulequeue.errors import MuleQueueError
from mulequeue.settings.redaction import redact

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells use it."""
_MAX_WIDTH = 100


class Interrupted(click.ClickException):
    """Ctrl-C, with the command that continues."""

    exit_code = INTERRUPTED

    def show(self, file: object = None) -> None:
        print_message(f"\n{self.message}")


class CommandError(click.ClickException):
    """An error in one sentence; exit code 1."""

    def show(self, file: object = None) -> None:
        print_message(f"Error: {self.message}")


@contextmanager
def errors_in_one_line(*, debug: bool) -> Iterator[None]:
    """Turn errors into click's, which exit with 1; with ``debug`` they keep their traceback."""
    try:
        yield
    except (click.exceptions.Exit, click.Abort, click.UsageError, Interrupted, BrokenPipeError):
        raise
    except click.ClickException as exc:
        raise CommandError(exc.message) from None
    except KeyboardInterrupt:
        raise Interrupted("Stopped.") from None
    except MuleQueueError as exc:
        if debug:
            raise
        raise CommandError(one_line(str(exc))) from None
    except Exception as exc:
        if debug:
            raise
        text = one_line(f"{type(exc).__name__}: {exc}")
        raise CommandError(f"{text} (--debug shows the traceback)") from None


def one_line(text: str) -> str:
    """Fold white space, mask passwords in URLs, and remove terminal control characters."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return redact(" ".join(printable.split()))


def print_message(text: str) -> None:
    """Print a message on standard error, wrapped; indented lines are commands and stay whole."""
    click.echo(wrap(text, sys.stderr), err=True)


def print_json(value: Any) -> None:
    """Print one JSON value on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False))


def json_keys(names: Iterable[str]) -> str:
    """Format the keys of a JSON object for a help text: ``{"task_id", "status"}``."""
    return "{" + ", ".join(f'"{name}"' for name in names) + "}"


def wrap(text: str, stream: Any, *, indent: int = 0) -> str:
    """Wrap text at the width of a terminal; a pipe gets it unchanged.

    Words, ids, URLs and paths are never split, so that they can be copied.

    :param indent: columns before the continuation lines.
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
