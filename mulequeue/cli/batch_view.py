"""What a person sees of a batch: a live picture on a terminal, plain lines in a pipe, or nothing."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol, Self

import click

from mulequeue.cli.output import print_message
from mulequeue.cli.render import clock, end_line, progress_line
from mulequeue.ledger import Batch, Record

LINE_SECONDS = 3.0
"""A pipe gets a line at most this often, and only when something changed."""


class View(Protocol):
    """Where progress goes."""

    def enqueued(self, count: int, size: int) -> None: ...
    def show(self, batch: Batch, left: float | None = None) -> None:
        """:param left: seconds until it is done, if anything can be said."""

    def end(self, record: Record) -> None: ...
    def note(self, text: str) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


def view_for(title: str, *, quiet: bool, started: float | None = None) -> View:
    """The view that suits standard error.

    :param title: what is made, for example the model.
    :param started: ``time.monotonic()`` of the start; None: now.
    """
    started = time.monotonic() if started is None else started
    if quiet:
        return QuietView()
    if sys.stderr.isatty():
        from mulequeue.cli.live_view import TerminalView

        return TerminalView(title, started)
    return LineView(started)


class QuietView:
    """Nothing."""

    def enqueued(self, count: int, size: int) -> None:
        pass

    def show(self, batch: Batch, left: float | None = None) -> None:
        pass

    def end(self, record: Record) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class LineView(QuietView):
    """Plain lines on standard error."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._last = ""
        self._at = 0.0
        self._batch: Batch | None = None
        self._noted: set[str] = set()

    def enqueued(self, count: int, size: int) -> None:
        self._line(f"enqueued {count} of {size}", at_once=count == size)

    def show(self, batch: Batch, left: float | None = None) -> None:
        self._batch = batch
        told = f" (about {clock(left)} left)" if left is not None else ""
        self._line(progress_line(batch), more=told)

    def end(self, record: Record) -> None:
        print_message(end_line(record))

    def note(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            print_message(text)

    def __exit__(self, *exc: object) -> None:
        if self._batch is not None:
            self._line(progress_line(self._batch), at_once=True)

    def _line(self, text: str, *, more: str = "", at_once: bool = False) -> None:
        """:param more: changes all the time, so a change of it alone is not told."""
        now = time.monotonic()
        if text == self._last or (now - self._at < LINE_SECONDS and not at_once):
            return
        self._last, self._at = text, now
        click.echo(f"[{clock(now - self._started)}] {text}{more}", err=True)


def echo_json(value: Any) -> None:
    """One JSON object on standard output."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False))
