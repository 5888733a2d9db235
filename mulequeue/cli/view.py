"""Progress on standard error: a live display on a terminal, plain lines in a pipe, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mulequeue.cli.output import is_rich, one_line, print_message
from mulequeue.cli.render import (
    STATES,
    clock,
    coloured_counts,
    ending_line,
    name_of,
    progress_line,
    reason_of,
    state_of,
)
from mulequeue.ledger import Batch, Record

_MAX_WIDTH = 100
LINE_SECONDS = 3.0
"""Minimum time between two lines of progress in a pipe, which are printed only after a change."""


@dataclass(frozen=True)
class Progress:
    """The state of a batch, a task or the fleet at one moment."""

    line: str
    """Text for a pipe, printed when it has changed."""
    more: str = ""
    """Follows ``line`` in a pipe, and the elapsed time in the live display. A change of it prints no line."""
    rows: Sequence[str] = ()
    """Coloured lines for the live display."""
    bar: tuple[int, int] | None = None
    """Number of members that are done, and of all members; None: no bar."""


def batch_progress(batch: Batch, seconds_left: float | None = None) -> Progress:
    """Return the progress of a batch, with the estimated time left unless that is None."""
    return Progress(
        progress_line(batch),
        "" if seconds_left is None else f"about {clock(seconds_left)} left",
        [coloured_counts(batch)],
        (batch.done, batch.size),
    )


class View:
    """The quiet view, which prints only notes. Use it as a context manager."""

    def __init__(self) -> None:
        self._noted: set[str] = set()

    def show(self, progress: Progress, *, at_once: bool = False) -> None:
        """Show a state; ``at_once`` ignores the minimum time between two lines. The quiet view shows nothing."""

    def end(self, record: Record) -> None:
        """Print a member of a batch that is over, above the progress. The quiet view prints nothing."""

    def note(self, text: str) -> None:
        """Print a message above the progress. The same message is printed only once."""
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
    """Prints lines on standard error, at most one line of progress per ``line_seconds``."""

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


class LiveView(View):
    """Shows a heading, a bar, the states in colours, and the time; failures and notes appear above them."""

    def __init__(self, title: str, started: float, console: Console | None = None) -> None:
        super().__init__()
        self._title, self._started = title, started
        self._console = console or Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._ended: float | None = None
        self._live = Live(get_renderable=self._display, console=self._console, refresh_per_second=8)

    def show(self, progress: Progress, *, at_once: bool = False) -> None:
        self._progress = progress

    def end(self, record: Record) -> None:
        self._console.print(ending_row(record), width=self._width)

    def print_note(self, text: str) -> None:
        self._console.print(Text(text, style="yellow", overflow="fold"))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended = time.monotonic()
        self._live.stop()

    @property
    def _width(self) -> int:
        return min(_MAX_WIDTH, self._console.width)

    def _display(self) -> RenderableType:
        progress = self._progress or Progress("")
        parts: list[RenderableType] = [
            Text(self._title, style="bold", overflow="ellipsis", no_wrap=True)
        ]
        if progress.bar is not None:
            parts.append(self._bar(*progress.bar))
        parts += [Text.from_ansi(row, overflow="fold") for row in progress.rows]
        times = f"{clock((self._ended or time.monotonic()) - self._started)} elapsed"
        more = f" · {progress.more}" if progress.more and self._ended is None else ""
        return Group(*parts, Text(times + more, style="dim"))

    def _bar(self, count: int, size: int) -> RenderableType:
        line = Table.grid(padding=(0, 1))
        line.width = self._width
        line.add_column(ratio=1)
        line.add_column(justify="right", no_wrap=True)
        share = f"{100 * count // size} %" if size else ""
        line.add_row(
            ProgressBar(total=max(size, 1), completed=count, width=None),
            Text(f"{count}/{size} done {share}"),
        )
        return line


def ending_row(record: Record) -> RenderableType:
    """Return the end of a generation for display.

    A success is one line with its duration, or why its files are missing, and the prompt. Otherwise the status and
    the error are followed by the prompt in a line below.
    """
    word, sign, colour = STATES[state_of(record)]
    style = colour or "dim"
    name = Text(f"{sign} {name_of(record)}", style=style)
    label = Text(one_line(record.label), style="dim")
    if record.status == "succeeded":
        return Text.assemble(name, f" {reason_of(record)}  ", label)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(name, Text(one_line(f"{word}: {reason_of(record)}"), style=style))
    if record.label:
        table.add_row("", label)
    return table


def view_for(
    title: str, *, quiet: bool, age: float = 0.0, line_seconds: float = LINE_SECONDS
) -> View:
    """Return the view that suits standard error.

    :param age: seconds since the start of what is shown.
    :param line_seconds: the shortest time between two lines of progress in a pipe.
    """
    started = time.monotonic() - age
    if quiet:
        return View()
    if is_rich(sys.stderr):
        return LiveView(title, started)
    return PlainView(started, line_seconds)
