"""The live picture of a batch on a terminal."""

from __future__ import annotations

import time
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mulequeue.cli.error_line import one_line
from mulequeue.cli.render import SIGNS, WORDS, clock, done, name_in_batch, reason_of, states_of
from mulequeue.ledger import Batch, Record

_MAX_WIDTH = 100


class TerminalView:
    """A bar, the states in colours, and the time; failures and notes stay above it."""

    def __init__(self, title: str, started: float, console: Console | None = None) -> None:
        self._title = title
        self._started = started
        self._console = console or Console(stderr=True, highlight=False)
        self._batch: Batch | None = None
        self._left: float | None = None
        self._enqueued = (0, 0)
        self._ended: float | None = None
        self._noted: set[str] = set()
        self._live = Live(get_renderable=self._picture, console=self._console, refresh_per_second=8)

    def enqueued(self, count: int, size: int) -> None:
        self._enqueued = (count, size)

    def show(self, batch: Batch, left: float | None = None) -> None:
        self._batch, self._left = batch, left

    def end(self, record: Record) -> None:
        self._console.print(ending(record), width=min(_MAX_WIDTH, self._console.width))

    def note(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self._console.print(Text(text, style="yellow", overflow="fold"))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended = time.monotonic()
        self._live.stop()

    def _picture(self) -> RenderableType:
        elapsed = (self._ended or time.monotonic()) - self._started
        batch = self._batch
        if batch is None:
            count, size = self._enqueued
            return Group(*self._bar(count, size, "enqueued"), _dim(clock(elapsed)))
        times = f"{clock(elapsed)} elapsed"
        if self._left is not None and self._ended is None:
            times += f" · about {clock(self._left)} left"
        return Group(*self._bar(done(batch), batch.size, "done"), _states(batch), _dim(times))

    def _bar(self, count: int, size: int, word: str) -> list[RenderableType]:
        line = Table.grid(padding=(0, 1))
        line.width = min(_MAX_WIDTH, self._console.width)
        line.add_column(ratio=1)
        line.add_column(justify="right", no_wrap=True)
        share = f"{100 * count // size} %" if size else ""
        line.add_row(
            ProgressBar(total=max(size, 1), completed=count, width=None),
            Text(f"{count}/{size} {word} {share}"),
        )
        title = Text(self._title, style="bold", overflow="ellipsis", no_wrap=True)
        return [title, line]


def ending(record: Record) -> RenderableType:
    """What became of a member and why, and its prompt below."""
    sign, style = sign_and_style(record.status or record.state)
    word = WORDS.get(record.status or record.state, record.state)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    name = Text(f"{sign} {name_in_batch(record)}", style=style)
    if record.status == "succeeded":
        return Text.assemble(name, f" {reason_of(record)}  ", _dim(one_line(record.label)))
    table.add_row(name, Text(one_line(f"{word}: {reason_of(record)}"), style=style))
    if record.label:
        table.add_row("", _dim(one_line(record.label)))
    return table


def sign_and_style(state: str) -> tuple[str, str]:
    """Of a state: ``✗`` and ``red``; what has no colour is dim."""
    sign, colour = SIGNS.get(state, ("✗", "red"))
    return sign, colour or "dim"


def _states(batch: Batch) -> Text:
    text = Text(overflow="fold")
    for name, count in states_of(batch):
        if count:
            sign, style = sign_and_style(name)
            text.append(f"{sign} {count} {WORDS[name]}", style=style)
            text.append("   ")
    if batch.files:
        text.append(f"↓ {batch.files} file{'' if batch.files == 1 else 's'}", style="blue")
    return text


def _dim(text: str) -> Text:
    return Text(text, style="dim")
