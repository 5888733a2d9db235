"""How a command ends: its exit code, an error as one line, Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click
from click.exceptions import Exit, NoArgsIsHelpError

from mulequeue.cli.output import one_line, print_message
from mulequeue.errors import MuleQueueError

SUCCEEDED, FAILED, STILL_RUNNING = 0, 1, 2
INTERRUPTED = 130
"""Exit code after Ctrl-C, the same as in shells."""


class Interrupted(click.ClickException):
    """The command was interrupted by Ctrl-C or SIGTERM. The message may name the command that continues."""

    exit_code = INTERRUPTED

    def show(self, file: object = None) -> None:
        print_message(f"\n{self.message}")


class CommandError(click.ClickException):
    """An error in one sentence; exit code 1."""

    def show(self, file: object = None) -> None:
        print_message(f"Error: {self.message}")


@contextmanager
def errors_in_one_line(*, debug: bool = False) -> Iterator[None]:
    """Convert errors to :class:`CommandError`, and Ctrl-C to :class:`Interrupted`.

    With ``debug``, errors other than click's are raised unchanged, with their traceback.
    """
    try:
        yield
    except (Exit, NoArgsIsHelpError, click.Abort, Interrupted, BrokenPipeError):
        raise
    except click.UsageError as exc:  # click's own exit code, 2, means "still running" here
        where = f" See `{exc.ctx.command_path} --help`." if exc.ctx is not None else ""
        raise CommandError(f"{exc.format_message().rstrip('.')}.{where}") from None
    except click.ClickException as exc:
        raise CommandError(exc.message) from None
    except KeyboardInterrupt:
        raise Interrupted("Stopped.") from None
    except Exception as exc:
        if debug:
            raise
        if isinstance(exc, MuleQueueError):
            raise CommandError(one_line(str(exc))) from None
        text = one_line(f"{type(exc).__name__}: {exc}")
        raise CommandError(f"{text} (--debug shows the traceback)") from None


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C while the block runs, so that the block cleans up."""
    if threading.current_thread() is not threading.main_thread():  # only that one can set handlers
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
