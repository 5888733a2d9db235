"""How somebody wants to be told of something that runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """The options of ``status``, as they were typed."""

    wait: bool = False
    follow: bool = False
    """Wait, and tell every change."""
    max_wait: float | None = None
    """Seconds; None: until it is over."""
    quiet: bool = False
    as_json: bool = False

    @property
    def is_waiting(self) -> bool:
        """Whether it is more than a snapshot."""
        return self.wait or self.follow
