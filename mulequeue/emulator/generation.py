"""One generation and what it looks like at a moment; pure, the time is an argument."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from mulequeue.catalog import Model
from mulequeue.emulator.faults import Life
from mulequeue.emulator.quirks import prompt_of
from mulequeue.outcome import Kind

Phase = Literal["pending", "processing", "retrying", "completed", "failed"]
TERMINAL: frozenset[Phase] = frozenset({"completed", "failed"})

MAX_POLLS_LISTED = 1000
_PENDING_SHARE = 0.2
_RETRYING_SHARE = 0.6


@dataclass(slots=True, kw_only=True)
class Generation:
    """A stored create."""

    remote_id: str
    model: Model
    body: dict[str, Any]
    created: float
    """Unix seconds."""
    seconds: float
    """From creation to the end; infinite while nobody knows."""
    life: Life = field(default_factory=Life)
    polls: int = 0
    polled: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_POLLS_LISTED))
    """When, unix seconds; the latest thousand."""
    is_deleted: bool = False
    links: list[str] = field(default_factory=list)
    """Paths at the asset host, once it is completed."""
    links_expire: float = math.inf
    """Unix seconds."""

    @property
    def kind(self) -> Kind:
        """``image``, ``video`` or ``audio``."""
        return self.model.kind or "video"

    @property
    def prompt(self) -> str:
        """The text of the body, empty when it has none."""
        return prompt_of(self.body)

    @property
    def ended(self) -> float:
        """When it ends or ended, unix seconds."""
        return self.created + self.seconds

    def finish(self, now: float) -> None:
        """End now, unless it has ended before: a terminal state is final."""
        self.seconds = min(self.seconds, now - self.created)

    def is_over(self, now: float) -> bool:
        return now >= self.ended

    def is_visible(self, now: float) -> bool:
        """Whether a poll finds it."""
        vanish = self.life.vanish_after_seconds
        gone = vanish is not None and now >= self.created + vanish
        hidden = 0 < self.life.hidden_polls >= self.polls
        return not (self.is_deleted or gone or hidden)

    def phase(self, now: float) -> Phase:
        if self.is_over(now):
            return "failed" if self.life.end == "failed" else "completed"
        share = self._share(now)
        if share < _PENDING_SHARE:
            return "pending"
        return "retrying" if self.life.retrying and share >= _RETRYING_SHARE else "processing"

    def changed(self, now: float) -> float:
        """When the phase it is in began, unix seconds."""
        phase = self.phase(now)
        if phase in TERMINAL:
            return self.ended
        if phase == "pending" or math.isinf(self.seconds):
            return self.created
        share = _RETRYING_SHARE if phase == "retrying" else _PENDING_SHARE
        return self.created + share * self.seconds

    def count_poll(self, now: float) -> None:
        """One more poll; a life that is measured in polls may end with it."""
        self.polls += 1
        self.polled.append(now)
        if self.life.polls is not None and self.polls >= self.life.polls:
            self.finish(now)

    def _share(self, now: float) -> float:
        """How much of its life is over, 0 to 1."""
        if self.life.polls is not None:
            return (self.polls - 0.9) / self.life.polls
        if math.isinf(self.seconds):  # never ends: seen to be worked on soon
            return min((now - self.created) / 10, _RETRYING_SHARE - 0.01)
        return (now - self.created) / self.seconds if self.seconds else 1.0
