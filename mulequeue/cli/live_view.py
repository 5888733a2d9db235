"""The live display on a terminal."""

from __future__ import annotations

import time
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mulequeue.cli.output import one_line
from mulequeue.cli.render import STATES, clock, name_of, reason_of, state_of
from mulequeue.cli.view import Progress, View
from mulequeue.ledger import Record

_MAX_WIDTH = 100


class LiveView(View):
    """A heading, a bar, the states in colours, and the time; failures and notes stay above it."""

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
    """Return the status and the error of a generation that is over, with its prompt below."""
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
