"""The texts of the Lua scripts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

_TRANSITIONS = ("rates", "wait_queue", "transitions")
_ADMISSION = (*_TRANSITIONS, "admission")
_PRECEDING: Mapping[str, tuple[str, ...]] = {
    "cancel": _ADMISSION,
    "compact": _TRANSITIONS,
    "dispatched": _TRANSITIONS,
    "end_delivery": _TRANSITIONS,
    "keep_delivery": _TRANSITIONS,
    "record_id": (*_ADMISSION, "poll_by"),
    "poll": ("poll_by",),
    "transfer": ("poll_by", "progress"),
    "requeue": _ADMISSION,
    "retry": _TRANSITIONS,
    "extend_lease": ("rates",),
    "settle": _ADMISSION,
    "circuit_breaker": _ADMISSION,
    "pause": _ADMISSION,
    "claim": (*_ADMISSION, "dequeue"),
    "begin_delivery": (*_ADMISSION, "dequeue", "budget", "progress"),
}
"""The files between the prelude and a script."""
_MAIN = """
local function main()
{}
end
local answer = main()
write_records()
return answer
"""


@cache
def source(script: str) -> str:
    """Return the text of a script, with the files that define what it uses before it.

    Wherever the script returns, the changes of records are written after it.
    """
    parts = [_read(part) for part in ("prelude", *_PRECEDING.get(script, ()))]
    return "\n".join(parts) + _MAIN.format(_read(script))


def _read(part: str) -> str:
    return (resources.files(__package__) / "lua" / f"{part}.lua").read_text()
