"""The Lua scripts, put together and registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from redis import Redis

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
"""What stands between the prelude and a script."""


@cache
def source(name: str) -> str:
    """The text of one script, with what stands before it."""
    parts = ("prelude", *_PRECEDING.get(name, ()), name)
    folder = resources.files(__package__) / "lua"
    return "\n".join((folder / f"{part}.lua").read_text() for part in parts)


class Scripts:
    """Calls a script by its name: ``scripts.run("claim", …)``."""

    def __init__(self, redis: Redis, prefix: str, clock: Callable[[], float] | None) -> None:
        self._redis = redis
        self._prefix = prefix
        self._clock = clock
        self._registered: dict[str, Any] = {}

    def run(self, name: str, *args: Any, client: Any = None) -> Any:
        """Run it with the fleet's prefix and the time before ``args``."""
        script = self._registered.get(name)
        if script is None:
            script = self._registered[name] = self._redis.register_script(source(name))
        now: Any = "" if self._clock is None else repr(self._clock())
        texts = [b"" if arg is None else arg for arg in args]
        return script(keys=[f"{self._prefix}due"], args=[self._prefix, now, *texts], client=client)
