"""Why a generation does not end, as its record keeps it."""

from __future__ import annotations

from typing import NamedTuple, Self

MAX_TEXT = 200


class Problem(NamedTuple):
    """The problem with the last status check of a generation."""

    since: float
    """Unix seconds: the first of the checks in a row with a problem of this kind."""
    kind: str
    """``error``: no usable answer. ``status``: an unknown status. ``empty``: completed without files."""
    text: str
    """The error, or the unknown status."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the problem that a record's field contains; None if it has none."""
        since, _, rest = text.partition(" ")
        kind, _, what = rest.partition(" ")
        try:
            return cls(float(since), kind, what)
        except ValueError:
            return None

    def dump(self) -> str:
        """Return the problem as the field of a record."""
        return f"{self.since:.3f} {self.kind} {self.text[:MAX_TEXT]}"

    @property
    def sentence(self) -> str:
        """Return the problem as a sentence."""
        if self.kind == "status":
            return f"the API reports the unknown status {self.text!r}; it counts as active"
        return self.text
