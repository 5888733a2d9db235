"""The types of settings: the values that each type allows, and the conversion of given values."""

from __future__ import annotations

import os
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


@dataclass(frozen=True, slots=True)
class Between:
    """A range of numbers, both ends included."""

    low: float
    high: float
    note: str = ""
    """A sentence that is added to the error for a number outside of the range."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Text that a regular expression must match completely."""

    pattern: str
    allowed: str
    """The description of the pattern in words."""


Count = Annotated[
    int,
    Between(
        1,
        10**9,
        " With 0 nothing would ever be submitted: remove it for no limit, and use `mulequeue pause` to "
        "stop submissions.",
    ),
]
Budget = Annotated[int, Between(0, 10**9)]
Usd = Annotated[float, Between(0, 10**9)]
Site = Literal["mulerouter", "mulerun"]
BaseUrl = Annotated[
    str,
    Matching(
        r"https?://[^\s/?#@]+(/[^\s?#@]*)?",
        "a URL that starts with https:// (http:// for an emulator), without user name, query and fragment",
    ),
]
RedisUrl = Annotated[
    str,
    Matching(
        r"(rediss?(\+sentinel)?|redis\+socket|unix)://\S+",
        "a URL that starts with redis://, rediss://, redis+sentinel://, rediss+sentinel://, "
        "redis+socket:// or unix://",
    ),
]
FleetName = Annotated[
    str, Matching(r"[^\s{}]{1,100}", "1 to 100 characters without spaces and braces")
]
QueueName = Annotated[str, Matching(r"\S{1,200}", "1 to 200 characters without spaces")]


def convert(value: Any, hint: Any) -> Any:
    """Return a value converted to the type of its setting.

    :param hint: the type; ``Annotated`` adds a :class:`Between` or a :class:`Matching`.
    :raises ValueError: the value is not allowed; the text describes the allowed values.
    """
    words, note, read = _reader(hint)
    try:
        return read(value)
    except (TypeError, ValueError, KeyError, OverflowError):
        raise ValueError(f"{words}.{note}") from None


def allowed(hint: Any) -> str:
    """Return a description of the values that a type allows."""
    return _reader(hint)[0]


@cache
def _reader(hint: Any) -> tuple[str, str, Callable[[Any], Any]]:
    """Return a description of the allowed values, a sentence for the error, and the function that converts."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    kind, origin, args = hint, typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        kind, check = args
        if isinstance(check, Matching):
            return check.allowed, "", lambda value: _text(value, check.pattern)
        noun = "a whole number" if kind is int else "a number"
        words = f"{noun} from {check.low:,} to {check.high:,}"
        return words, check.note, lambda value: _number(value, kind, check)
    if origin is Literal:
        *others, last = map(repr, args)
        return f"{', '.join(others)} or {last}", "", lambda value: args[args.index(value)]
    if kind is bool:
        return "true or false", "", lambda value: _BOOLEANS[str(value).strip().lower()]
    if kind is str:
        return "text that is not empty", "", _text
    if origin is tuple:
        return f"a list of texts (in the environment separated by {os.pathsep!r})", "", _texts
    is_nested = typing.get_origin(args[1]) is not None
    inner = " of dictionaries" if is_nested else ""
    words = f"a dictionary{inner}, in the Celery configuration"
    return words, "", lambda value: _mapping(value, is_nested=is_nested)


def _number(value: Any, kind: type, check: Between) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    number = kind(value)
    if not isinstance(value, str) and number != value:  # a fraction of a whole number, or NaN
        raise ValueError
    if not check.low <= number <= check.high:
        raise ValueError
    return number


def _text(value: Any, pattern: str = ".*") -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError
    text = str(value).strip()
    if not text or _CONTROL.search(text) or not re.fullmatch(pattern, text):
        raise ValueError
    return text


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part for part in value.split(os.pathsep) if part]
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise TypeError
    return tuple(map(_text, value))


def _mapping(value: Any, *, is_nested: bool) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    for key, item in value.items():
        if not isinstance(key, str) or (is_nested and not isinstance(item, Mapping)):
            raise TypeError
    return dict(value)
