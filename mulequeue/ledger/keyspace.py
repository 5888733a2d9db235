"""The keys of one fleet on one Redis, and the Lua scripts that change them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from itertools import chain, islice
from typing import Any, TypeVar

from redis import Redis

Item = TypeVar("Item")

_SLICE = 200
"""Items per round trip."""
_TRANSITIONS = ("rates", "wait_queue", "transitions")
_ADMISSION = (*_TRANSITIONS, "admission")
_PRECEDING: Mapping[str, tuple[str, ...]] = {
    "cancel": _ADMISSION,
    "compact": _TRANSITIONS,
    "delivery_lease": _TRANSITIONS,
    "end_delivery": _TRANSITIONS,
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
"""Script -> files with the functions that it uses; they are inserted between the prelude and the script."""
_MAIN = """
local function main()
{}
end
local answer = main()
write_records()
return answer
"""


class Keyspace:
    """The Redis client, prefix and scripts that the parts of a ledger share; see ``Ledger``."""

    def __init__(
        self, redis: Redis, fleet: str, *, clock: Callable[[], float] | None = None
    ) -> None:
        self.redis = redis
        self.prefix = f"mulequeue:{{{fleet}}}:"
        self._clock = clock
        self._scripts: dict[str, Any] = {}

    def run(self, script: str, *items: Any, pipe: Any = None, **args: Any) -> Any:
        """Run a script of ``lua/``, in which ``args`` are a table by name, and ``items`` a list.

        :param args: those that are None or False are left out; True becomes 1.
        :param pipe: a pipeline that the call is added to; None: run the script at once.
        """
        registered = self._scripts.get(script)
        if registered is None:
            registered = self._scripts[script] = self.redis.register_script(source(script))
        now: Any = "" if self._clock is None else repr(self._clock())
        named = [
            (name, 1 if value is True else value)
            for name, value in args.items()
            if value is not None and value is not False
        ]
        return registered(
            keys=[f"{self.prefix}due"],
            args=[self.prefix, now, len(named), *chain.from_iterable(named), *items],
            client=pipe or self.redis,
        )

    def send_for_each(
        self, items: Iterable[Item], send: Callable[[Any, Item], object]
    ) -> Iterator[tuple[Item, list[Any]]]:
        """Send the same commands for each item, many items per round trip; yield each item with its answers.

        :param send: adds the commands of an item to a pipeline.
        """
        rest = iter(items)
        while part := list(islice(rest, _SLICE)):
            pipe = self.redis.pipeline(transaction=False)
            for item in part:
                send(pipe, item)
            answers = pipe.execute()
            each = len(answers) // len(part)
            for number, item in enumerate(part):
                yield item, answers[number * each : (number + 1) * each]

    def now(self) -> float:
        """Return Redis' clock, in unix seconds."""
        seconds, micros = self.redis.time()
        return float(seconds) + float(micros) / 1e6


class Part:
    """Base class of the parts of a ledger. A part has the methods of one subject."""

    def __init__(self, keys: Keyspace) -> None:
        self._keys, self._redis, self._prefix = keys, keys.redis, keys.prefix


@cache
def source(script: str) -> str:
    """Return the whole source of a script: the prelude, the files that it uses, and the script.

    The script becomes the body of a function. So the changed records are written wherever the script returns.
    """
    parts = [_read(part) for part in ("prelude", *_PRECEDING.get(script, ()))]
    return "\n".join(parts) + _MAIN.format(_read(script))


def _read(part: str) -> str:
    return (resources.files(__package__) / "lua" / f"{part}.lua").read_text()


def texts(fields: Mapping[Any, Any]) -> dict[str, str]:
    """Decode the fields of a hash."""
    return {key.decode(): value.decode() for key, value in fields.items()}


def optional_time(text: bytes | None) -> float | None:
    """Return the time that a script wrote, or None if it wrote an empty text."""
    return float(text) if text else None
