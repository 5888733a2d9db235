"""The texts of the Lua scripts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

_TRANSITIONS = ("rates", "wait_queue", "transitions")
_ADMISSION = (*_TRANSITIONS, "admission")
_PRECEDING: Mapping[str, tuple[str, ...]] = {
    "cancel": _TRANSITIONS,
    "end_delivery": _TRANSITIONS,
    "record_id": (*_ADMISSION, "poll_by"),
    "poll": ("poll_by",),
    "transfer": ("poll_by",),
    "requeue": _ADMISSION,
    "extend_lease": ("rates",),
    "settle": _ADMISSION,
    "circuit_breaker": _ADMISSION,
    "pause": _ADMISSION,
    "claim": (*_ADMISSION, "dequeue"),
    "begin_delivery": (*_ADMISSION, "dequeue", "budget"),
}
"""The files between the prelude and a script."""


@cache
def source(script: str) -> str:
    """Return the text of a script, with the files that define what it uses before it."""
    parts = ("prelude", *_PRECEDING.get(script, ()), script)
    folder = resources.files(__package__) / "lua"
    return "\n".join((folder / f"{part}.lua").read_text() for part in parts)
