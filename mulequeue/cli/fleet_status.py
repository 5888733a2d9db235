"""``mulequeue status`` without an id: the whole fleet, once or until something ends it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import click
from redis.exceptions import RedisError

from mulequeue.cli.batch_view import LINE_SECONDS, echo_json
from mulequeue.cli.duration_summary import duration_line, duration_summaries
from mulequeue.cli.error_line import Interrupted
from mulequeue.cli.output import print_message
from mulequeue.cli.pause import submission_line, submission_statuses_of
from mulequeue.cli.render import SIGNS, WORDS, clock
from mulequeue.cli.watch_options import WatchOptions
from mulequeue.ledger import Ledger
from mulequeue.settings import Settings

UNDER_WAY = ("waiting", "submitting", "generating")
OVER = ("succeeded", "failed", "timed_out", "submit_unknown", "cancelled", "files")
REFRESH_SECONDS = 0.5
LATE_SECONDS = 10.0
"""So much behind, nobody polls."""


@dataclass(frozen=True, kw_only=True)
class FleetState:
    """How the fleet stands at a moment."""

    name: str
    counts: Mapping[str, int]
    due: int
    overdue_seconds: float
    profiles: Sequence[Mapping[str, Any]] = ()
    """What is in flight, sent today and paused, by profile: :func:`mulequeue.cli.pause.submission_statuses_of`."""
    learned: Sequence[Mapping[str, Any]] = ()
    """When models are checked: :func:`mulequeue.cli.duration_summary.duration_summaries`. Not while it is followed."""

    @classmethod
    def of(cls, ledger: Ledger, settings: Settings) -> Self:
        """Read from the ledger."""
        size, first = ledger.queries.overdue()
        late = max(0.0, ledger.queries.now() - first) if first is not None else 0.0
        return cls(
            name=settings.fleet,
            counts=ledger.queries.counts(),
            due=size,
            overdue_seconds=round(late, 1),
            profiles=submission_statuses_of(ledger, settings),
        )

    @property
    def is_idle(self) -> bool:
        """Nothing is under way."""
        return not any(self.counts.get(word) for word in UNDER_WAY)

    def to_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "fleet": self.name,
            "counts": dict(self.counts),
            "due": self.due,
            "overdue_seconds": self.overdue_seconds,
            "profiles": list(self.profiles),
            "learned": list(self.learned),
        }

    def lines(self) -> list[str]:
        """For people; what is none is dim."""
        rows = [click.style(f"fleet {self.name}", bold=True)]
        rows += [self._row(word) for word in UNDER_WAY]
        rows.append("since the ledger began")
        rows += [self._row(word) for word in OVER]
        rows += [submission_line(profile) for profile in self.profiles]
        return rows + [duration_line(model) for model in self.learned]

    def _row(self, word: str) -> str:
        sign, colour = SIGNS[word]
        count = self.counts.get(word, 0)
        row = f"  {sign} {WORDS.get(word, word):<11}{count:>10,}"
        return click.style(row, fg=colour, dim=None if colour else True) if count else row

    def line(self) -> str:
        """``3 generating; 41 succeeded, 3 failed, 41 files``."""
        parts = [self._parts(UNDER_WAY) or "nothing under way", self._parts(OVER)]
        return "; ".join(part for part in parts if part)

    def _parts(self, words: tuple[str, ...]) -> str:
        counts = ((self.counts.get(word, 0), WORDS.get(word, word)) for word in words)
        return ", ".join(f"{count:,} {word}" for count, word in counts if count)

    def warning(self) -> str | None:
        """That nobody polls, if so."""
        if self.overdue_seconds <= LATE_SECONDS:
            return None
        return (
            f"The first of {self.due:,} is {self.overdue_seconds:.0f} s overdue: no worker takes the "
            "poll queue. Start one:\n  celery -A mulequeue worker"
        )


def print_fleet(ledger: Ledger, settings: Settings, how: WatchOptions) -> int:
    """A snapshot; with ``wait`` until nothing is under way, with ``follow`` until Ctrl-C."""
    if not how.is_waiting:
        state = replace(
            FleetState.of(ledger, settings), learned=duration_summaries(ledger, settings)
        )
        _print_state(state, as_json=how.as_json)
        return 0
    try:
        state = _follow(ledger, settings, how)
    except KeyboardInterrupt:
        raise Interrupted("Stopped watching; everything goes on.") from None
    if how.as_json:
        _print_state(replace(state, learned=duration_summaries(ledger, settings)), as_json=True)
    return 0 if state.is_idle else 2


def _print_state(state: FleetState, *, as_json: bool) -> None:
    if as_json:
        echo_json(state.to_dict())
        return
    for line in state.lines():
        click.echo(line)
    warning = state.warning()
    if warning:
        print_message(warning)


def _follow(ledger: Ledger, settings: Settings, how: WatchOptions) -> FleetState:
    """Show it as it changes; how it stood last."""
    state = FleetState.of(ledger, settings)
    ends = None if how.max_wait is None else time.monotonic() + how.max_wait
    with _view(quiet=how.quiet) as view:
        while True:
            view.show(state)
            is_late = ends is not None and time.monotonic() >= ends
            if is_late or (how.wait and state.is_idle):
                return state
            time.sleep(REFRESH_SECONDS)
            try:
                state = FleetState.of(ledger, settings)
            except RedisError:
                view.note("Redis does not answer; waiting for it.")


class FleetLines:
    """Plain lines on standard error, when something changed."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._at = -LINE_SECONDS
        self._last = ""

    def show(self, state: FleetState) -> None:
        now, line = time.monotonic(), state.line()
        if line != self._last and now - self._at >= LINE_SECONDS:
            self._at, self._last = now, line
            click.echo(f"[{clock(now - self._started)}] {line}", err=True)

    def note(self, text: str) -> None:
        if text != self._last:
            self._last = text
            print_message(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class NoFleet(FleetLines):
    """Nothing."""

    def show(self, state: FleetState) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class FleetPicture(FleetLines):
    """The rows in place, on a terminal."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(stderr=True, highlight=False), auto_refresh=False)

    def show(self, state: FleetState) -> None:
        from rich.text import Text

        rows = [*state.lines(), f"{clock(time.monotonic() - self._started)} · Ctrl-C ends watching"]
        warning = state.warning()
        text = Text.from_ansi("\n".join([*rows, warning] if warning else rows))
        self._live.update(text, refresh=True)

    def note(self, text: str) -> None:
        if text != self._last:
            self._last = text
            self._live.console.print(text, style="yellow")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()


def _view(*, quiet: bool) -> FleetLines:
    """The view that suits standard error."""
    if quiet:
        return NoFleet()
    return FleetPicture() if sys.stderr.isatty() else FleetLines()
