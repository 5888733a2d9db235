"""The live picture of a batch on a terminal."""

from __future__ import annotations

import time
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mulequeue.cli.progress import WORDS, clock, done, failure_line, seconds_left, states_of
from mulequeue.ledger import Batch, Record

_STYLES = {
    "queued": ("○", "dim"),
    "waiting": ("◔", "yellow"),
    "submitting": ("↑", "cyan"),
    "generating": ("◑", "cyan"),
    "succeeded": ("●", "green"),
    "failed": ("✗", "red"),
    "timed_out": ("✗", "red"),
    "submit_unknown": ("?", "magenta"),
    "cancelled": ("–", "dim"),
}
_WIDEST = 100


class TerminalView:
    """A bar, the states in colours, and the time; failures and notes stay above it."""

    def __init__(self, title: str, started: float, console: Console | None = None) -> None:
        self._title = title
        self._started = started
        self._console = console or Console(stderr=True, highlight=False)
        self._batch: Batch | None = None
        self._enqueued = (0, 0)
        self._ended: float | None = None
        self._noted: set[str] = set()
        self._live = Live(get_renderable=self._picture, console=self._console, refresh_per_second=8)

    def enqueued(self, count: int, size: int) -> None:
        self._enqueued = (count, size)

    def show(self, batch: Batch) -> None:
        self._batch = batch

    def failure(self, record: Record) -> None:
        self._console.print(Text(failure_line(record), style="red", overflow="fold"))

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
        left = seconds_left(batch, elapsed)
        if left is not None and self._ended is None:
            times += f" · about {clock(left)} left"
        return Group(*self._bar(done(batch), batch.size, "done"), _states(batch), _dim(times))

    def _bar(self, count: int, size: int, word: str) -> list[RenderableType]:
        line = Table.grid(expand=True, padding=(0, 1))
        line.add_column(ratio=1)
        line.add_column(justify="right", no_wrap=True)
        share = f"{100 * count // size} %" if size else ""
        line.add_row(
            ProgressBar(total=max(size, 1), completed=count, width=None),
            Text(f"{count}/{size} {word} {share}"),
        )
        title = Text(self._title, style="bold", overflow="ellipsis", no_wrap=True)
        return [title, line]


def _states(batch: Batch) -> Text:
    text = Text(overflow="fold")
    for name, count in states_of(batch):
        if count:
            sign, style = _STYLES[name]
            text.append(f"{sign} {count} {WORDS[name]}", style=style)
            text.append("   ")
    if batch.files:
        text.append(f"↓ {batch.files} file{'' if batch.files == 1 else 's'}", style="blue")
    return text


def _dim(text: str) -> Text:
    return Text(text, style="dim")
