"""Progress on standard error: a live display on a terminal, plain lines in a pipe, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import click

from mulequeue.cli.output import is_rich, print_message
from mulequeue.cli.render import clock, coloured_counts, ending_line, progress_line
from mulequeue.ledger import Batch, Record

LINE_SECONDS = 3.0
"""A pipe gets a line about a batch or the fleet at most this often, and only after a change."""


@dataclass(frozen=True)
class Progress:
    """The state of a batch, a task or the fleet at one moment."""

    line: str
    """For a pipe, which gets it when it changes."""
    more: str = ""
    """Follows the line, or the elapsed time. A change of this alone prints no line."""
    rows: Sequence[str] = ()
    """For the live display, coloured."""
    bar: tuple[int, int] | None = None
    """How many are done, of how many."""


def batch_progress(batch: Batch, seconds_left: float | None = None) -> Progress:
    """Return the progress of a batch, with the estimate of the time left, if there is one."""
    return Progress(
        progress_line(batch),
        "" if seconds_left is None else f"about {clock(seconds_left)} left",
        [coloured_counts(batch)],
        (batch.done, batch.size),
    )


class View:
    """The quiet view: it shows notes alone. Use it as a context manager."""

    def __init__(self) -> None:
        self._noted: set[str] = set()

    def show(self, progress: Progress, *, at_once: bool = False) -> None:
        """Show a state, with ``at_once`` even if the last line is recent."""

    def end(self, record: Record) -> None:
        """Print a member of a batch that is over; the line stays above the progress."""

    def note(self, text: str) -> None:
        """Print a message that stays above the progress; the same message is printed once."""
        if text not in self._noted:
            self._noted.add(text)
            self.print_note(text)

    def print_note(self, text: str) -> None:
        """Print a message."""
        print_message(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class PlainView(View):
    """Lines on standard error, at most one of progress per ``line_seconds``."""

    def __init__(self, started: float, line_seconds: float = LINE_SECONDS) -> None:
        super().__init__()
        self._started, self._line_seconds = started, line_seconds
        self._line, self._printed = "", 0.0
        self._progress: Progress | None = None

    def show(self, progress: Progress, *, at_once: bool = False) -> None:
        self._progress = progress
        now = time.monotonic()
        is_early = now - self._printed < self._line_seconds and not at_once
        if progress.line == self._line or is_early:
            return
        self._line, self._printed = progress.line, now
        more = f" ({progress.more})" if progress.more else ""
        click.echo(f"[{clock(now - self._started)}] {progress.line}{more}", err=True)

    def end(self, record: Record) -> None:
        print_message(ending_line(record))

    def __exit__(self, *exc: object) -> None:
        if self._progress is not None:
            self.show(self._progress, at_once=True)


def view_for(
    title: str, *, quiet: bool, age: float = 0.0, line_seconds: float = LINE_SECONDS
) -> View:
    """Return the view that suits standard error; ``age`` is the time that has passed, in seconds."""
    started = time.monotonic() - age
    if quiet:
        return View()
    if is_rich(sys.stderr):
        from mulequeue.cli.live_view import LiveView

        return LiveView(title, started)
    return PlainView(started, line_seconds)
