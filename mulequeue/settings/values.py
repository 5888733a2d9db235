"""The types of settings: what each allows, and the conversion of what the user wrote."""

from __future__ import annotations

import os
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
    """A sentence for the error, about a number outside of the range."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Text that a regular expression matches as a whole."""

    pattern: str
    allowed: str
    """The same in words."""


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
    :raises ValueError: the value does not fit; the text says what does.
    """
    kind, check = _parts(hint)
    try:
        return _converted(value, kind, check)
    except (TypeError, ValueError, KeyError, OverflowError):
        note = check.note if isinstance(check, Between) else ""
        raise ValueError(f"{allowed(hint)}.{note}") from None


def allowed(hint: Any) -> str:
    """Return in words what a type allows."""
    kind, check = _parts(hint)
    origin = typing.get_origin(kind)
    if isinstance(check, Matching):
        return check.allowed
    if isinstance(check, Between):
        noun = "a whole number" if kind is int else "a number"
        return f"{noun} from {check.low:,} to {check.high:,}"
    if origin is Literal:
        *words, last = map(repr, typing.get_args(kind))
        return f"{', '.join(words)} or {last}"
    if kind is bool:
        return "true or false"
    if origin is tuple:
        return f"a list of texts (in the environment separated by {os.pathsep!r})"
    if kind is str:
        return "text that is not empty"
    inner = " of dictionaries" if typing.get_origin(typing.get_args(kind)[1]) is not None else ""
    return f"a dictionary{inner}, in the Celery configuration"


def _parts(hint: Any) -> tuple[Any, Between | Matching | None]:
    """Return the type of a setting without ``None``, and the check of its value, if it has one."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is Annotated:
        kind, check = typing.get_args(hint)
        return kind, check
    return hint, None


def _converted(value: Any, kind: Any, check: Between | Matching | None) -> Any:
    origin = typing.get_origin(kind)
    if kind is bool:
        return _BOOLEANS[str(value).strip().lower()]
    if kind in (int, float):
        return _number(value, kind, check)
    if origin is Literal:
        return _one_of(value, typing.get_args(kind))
    if origin is tuple:
        return _texts(value)
    if origin is not None:
        return _mapping(value, typing.get_args(kind)[1])
    text = _text(value)
    if isinstance(check, Matching) and not re.fullmatch(check.pattern, text):
        raise ValueError
    return text


def _number(value: Any, kind: type, check: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    number = kind(value)
    if not isinstance(value, str) and number != value:  # a fraction of a whole number, or NaN
        raise ValueError
    if not check.low <= number <= check.high:
        raise ValueError
    return number


def _text(value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError
    text = str(value).strip()
    if not text or _CONTROL.search(text):
        raise ValueError
    return text


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part for part in value.split(os.pathsep) if part]
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise TypeError
    return tuple(map(_text, value))


def _one_of(value: Any, words: Iterable[str]) -> str:
    if value not in words:
        raise ValueError
    return str(value)


def _mapping(value: Any, inner: Any) -> dict[str, Any]:
    is_nested = typing.get_origin(inner) is not None
    if not isinstance(value, Mapping):
        raise TypeError
    for key, item in value.items():
        if not isinstance(key, str) or (is_nested and not isinstance(item, Mapping)):
            raise TypeError
    return dict(value)
