"""One generation as it is waited for: its changes in lines, and a clock below them on a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from mulequeue.cli.output import print_message
from mulequeue.cli.render import WORDS, clock
from mulequeue.ledger import Record

if TYPE_CHECKING:
    from rich.status import Status


class TaskView:
    """Use it as a context; nothing is shown when it is quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._started = time.monotonic()
        self._status: Status | None = None

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._quiet:
            return
        if self._status is not None:
            self._status.console.print(text, highlight=False, markup=False)
        else:
            print_message(text)

    def tick(self, record: Record | None) -> None:
        """How it stands, at every look."""
        if self._status is None:
            return
        elapsed = clock(time.monotonic() - self._started)
        if record is None:
            self._status.update(f"{elapsed} · no worker has taken it yet")
            return
        word = WORDS.get(record.status or record.state, record.state)
        checks = (
            f" · {record.polls} check{'' if record.polls == 1 else 's'}" if record.polls else ""
        )
        self._status.update(f"{elapsed} · {word}{checks}")

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True, highlight=False).status("")
            self._status.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._status is not None:
            self._status.stop()
