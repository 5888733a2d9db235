"""An error is one line on standard error that says what to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from mulequeue.cli.output import print_message
from mulequeue.errors import MuleQueueError
from mulequeue.settings.redaction import redact

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Interrupted(click.ClickException):
    """Ctrl-C, with a word on how to go on."""

    exit_code = INTERRUPTED

    def show(self, file: object = None) -> None:
        print_message(f"\n{self.message}")


class ErrorLine(click.ClickException):
    """An error in one sentence."""

    def show(self, file: object = None) -> None:
        print_message(f"Error: {self.message}")


@contextmanager
def one_line_errors(*, debug: bool) -> Iterator[None]:
    """Turn errors into click's, which exit with 1; with ``debug`` they keep their traceback."""
    try:
        yield
    except (click.exceptions.Exit, click.Abort, click.UsageError, Interrupted):
        raise
    except click.ClickException as exc:
        raise ErrorLine(exc.message) from None
    except KeyboardInterrupt:
        raise Interrupted("Stopped.") from None
    except BrokenPipeError:
        raise
    except MuleQueueError as exc:
        if debug:
            raise
        raise ErrorLine(one_line(str(exc))) from None
    except Exception as exc:
        if debug:
            raise
        text = one_line(f"{type(exc).__name__}: {exc}")
        raise ErrorLine(f"{text} (--debug shows where)") from None


def one_line(text: str) -> str:
    """White space folded, passwords in URLs masked, and nothing in it that moves a terminal."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return redact(" ".join(printable.split()))
