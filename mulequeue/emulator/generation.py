"""One generation and its state at a given time. The caller passes the time."""

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
    """A generation, stored when its create request was accepted."""

    remote_id: str
    model: Model
    body: dict[str, Any]
    created: float
    """Unix seconds."""
    seconds: float
    """From creation to the end; infinite while the end is unknown."""
    life: Life = field(default_factory=Life)
    polls: int = 0
    polled: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_POLLS_LISTED))
    """Times of the polls, unix seconds; the latest thousand."""
    is_deleted: bool = False
    links: list[str] = field(default_factory=list)
    """Paths at the asset host, set after completion."""
    links_expire: float = math.inf
    """Unix seconds."""

    @property
    def kind(self) -> Kind:
        """``image``, ``video`` or ``audio``."""
        return self.model.kind or "video"

    @property
    def prompt(self) -> str:
        """The prompt in the body, or an empty string."""
        return prompt_of(self.body)

    @property
    def ended(self) -> float:
        """Time of the end, past or future, unix seconds."""
        return self.created + self.seconds

    def finish(self, now: float) -> None:
        """End the generation now, unless it has ended before: a terminal state is final."""
        self.seconds = min(self.seconds, now - self.created)

    def is_over(self, now: float) -> bool:
        return now >= self.ended

    def is_visible(self, now: float) -> bool:
        """Return True if a poll finds the generation."""
        vanish = self.life.vanish_after_seconds
        has_vanished = vanish is not None and now >= self.created + vanish
        is_hidden = 0 < self.life.hidden_polls >= self.polls
        return not (self.is_deleted or has_vanished or is_hidden)

    def phase(self, now: float) -> Phase:
        if self.is_over(now):
            return "failed" if self.life.end == "failed" else "completed"
        share = self._share(now)
        if share < _PENDING_SHARE:
            return "pending"
        return "retrying" if self.life.retrying and share >= _RETRYING_SHARE else "processing"

    def changed(self, now: float) -> float:
        """Return the start of the current phase, unix seconds."""
        phase = self.phase(now)
        if phase in TERMINAL:
            return self.ended
        if phase == "pending" or math.isinf(self.seconds):
            return self.created
        share = _RETRYING_SHARE if phase == "retrying" else _PENDING_SHARE
        return self.created + share * self.seconds

    def count_poll(self, now: float) -> None:
        """Count a poll, and end the generation if this is poll number ``life.polls``."""
        self.polls += 1
        self.polled.append(now)
        if self.life.polls is not None and self.polls >= self.life.polls:
            self.finish(now)

    def _share(self, now: float) -> float:
        """Return the elapsed share of the duration; with ``life.polls``, negative before the first poll."""
        if self.life.polls is not None:
            return (self.polls - 0.9) / self.life.polls
        if math.isinf(self.seconds):  # the end is unknown: processing after 2 s
            return min((now - self.created) / 10, _RETRYING_SHARE - 0.01)
        return (now - self.created) / self.seconds if self.seconds else 1.0
