"""An error is one line on standard error that says what to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from mulequeue.cli.output import say
from mulequeue.errors import MuleQueueError
from mulequeue.settings.redaction import masked

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Stopped(click.ClickException):
    """Ctrl-C, with a word on how to go on."""

    exit_code = INTERRUPTED

    def show(self, file: object = None) -> None:
        say(f"\n{self.message}")


class Told(click.ClickException):
    """An error in one sentence."""

    def show(self, file: object = None) -> None:
        say(f"Error: {self.message}")


@contextmanager
def in_one_line(*, debug: bool) -> Iterator[None]:
    """Turn errors into click's, which exit with 1; with ``debug`` they keep their traceback."""
    try:
        yield
    except (click.exceptions.Exit, click.Abort, click.UsageError, Stopped):
        raise
    except click.ClickException as exc:
        raise Told(exc.message) from None
    except KeyboardInterrupt:
        raise Stopped("Stopped.") from None
    except BrokenPipeError:
        raise
    except MuleQueueError as exc:
        if debug:
            raise
        raise Told(one_line(str(exc))) from None
    except Exception as exc:
        if debug:
            raise
        text = one_line(f"{type(exc).__name__}: {exc}")
        raise Told(f"{text} (--debug shows where)") from None


def one_line(text: str) -> str:
    """White space folded, passwords in URLs masked, and nothing in it that moves a terminal."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return masked(" ".join(printable.split()))
