"""Findings (errors and warnings) about an input, and parts of their texts: quoted values, similar names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST = 40
SOURCES = "the API's documentation and clients"
_SIMILAR_CUTOFF, _TYPO_CUTOFF = 0.8, 0.6
_MOST = 3
_LONGEST_NAME = 60
_RECEIVERS = "the API accepts no callback URL per request; use mulequeue.notify"
_STRAYS = {
    "model": "the path already names the model; remove it",
    **dict.fromkeys(
        ("webhook", "webhook_url", "callback", "callback_url", "notify_url", "notification_url"),
        _RECEIVERS,
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One error or warning about an input."""

    where: str
    """Path of the parameter, such as ``voice_setting.speed`` or ``images[2]``."""
    text: str
    """The message, without a full stop at its end."""
    is_certain: bool = False
    """True: all sources agree, so the finding is an error in the mode ``strict``. False: it is a warning."""


def quote_value(value: Any) -> str:
    """Return a value for a message, cut to 40 characters so that the message shows no content of a file."""
    if isinstance(value, str):
        start = value[:_LONGEST]
        return repr(start) if len(value) <= _LONGEST else f"{start!r}…"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, (int, float)):
        return repr(value)[:_LONGEST]
    return f"a {type(value).__name__}"


def unknown_name(
    name: str, known: Iterable[str], ignored: Mapping[str, str], *, is_open: bool, prefix: str = ""
) -> Finding:
    """Return the finding about an unknown name of a parameter.

    :param known: names that the model or the object has.
    :param ignored: names that the API ignores -> the name to use instead.
    :param is_open: True if the sources may be incomplete; then the finding is certain only if the
        name is in ``ignored`` or resembles a known one.
    :param prefix: path of the object that contains the name, such as ``voice_setting.``.
    """
    names = list(known)
    where = f"{prefix}{str(name)[:_LONGEST_NAME]}"
    if name in ignored:
        text = f"the API ignores {where!r}; use {ignored[name]}"
        return Finding(where, text, is_certain=True)
    if name in _STRAYS:
        return Finding(where, f"{where!r}: {_STRAYS[name]}", is_certain=not is_open)
    near = nearest(name, names)
    hint = f"did you mean {' or '.join(near)}" if near else f"it takes {', '.join(names)}"
    is_misspelling = bool(
        difflib.get_close_matches(
            str(name)[:_LONGEST_NAME].lower(), names, n=1, cutoff=_SIMILAR_CUTOFF
        )
    )
    if is_open and not is_misspelling:
        return Finding(where, f"{SOURCES} do not list {where!r}, so the API may ignore it ({hint})")
    return Finding(where, f"there is no {where!r}; {hint}", is_certain=True)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return at most three known names that resemble ``name`` or share whole words with it, the closest first."""
    wanted, names = str(name)[:_LONGEST_NAME].lower(), list(known)
    found = difflib.get_close_matches(wanted, names, n=_MOST, cutoff=_TYPO_CUTOFF)
    found += [
        item for item in names if f"_{item}_" in f"_{wanted}_" or f"_{wanted}_" in f"_{item}_"
    ]
    return list(dict.fromkeys(found))[:_MOST]
