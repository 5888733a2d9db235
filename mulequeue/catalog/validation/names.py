"""Names that a model does not take: what they may have been meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from mulequeue.catalog.validation.finding import Finding

_SIMILAR_CUTOFF, _TYPO_CUTOFF = 0.8, 0.6
_MOST = 3
_LONGEST = 60
_RECEIVERS = "the API takes no receiver of its own per request; use mulequeue.notify"
_STRAYS = {
    "model": "the path names the model already; leave it out",
    **dict.fromkeys(
        ("webhook", "webhook_url", "callback", "callback_url", "notify_url", "notification_url"),
        _RECEIVERS,
    ),
}


def unknown_name(
    name: str, known: Iterable[str], ignored: Mapping[str, str], *, is_open: bool, prefix: str = ""
) -> Finding:
    """The finding about a name that is not known.

    :param ignored: names that were seen to be dropped -> what to use.
    :param is_open: whether the sources may have left out names: then it is certain only if it looks
        like a known one, misspelt.
    :param prefix: where it stands, such as ``voice_setting.``.
    """
    names = list(known)
    where = f"{prefix}{str(name)[:_LONGEST]}"
    if name in ignored:
        text = f"{where!r} is silently ignored; use {ignored[name]}"
        return Finding(where, text, is_certain=True)
    if name in _STRAYS:
        return Finding(where, f"{where!r}: {_STRAYS[name]}", is_certain=not is_open)
    near = nearest(name, names)
    hint = f"did you mean {' or '.join(near)}" if near else f"it takes {', '.join(names)}"
    is_slip = bool(
        difflib.get_close_matches(str(name)[:_LONGEST].lower(), names, n=1, cutoff=_SIMILAR_CUTOFF)
    )
    if is_open and not is_slip:
        return Finding(where, f"no source knows {where!r}, and it may be ignored ({hint})")
    return Finding(where, f"there is no {where!r}; {hint}", is_certain=True)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """At most three of the known names that ``name`` may stand for, the likeliest first."""
    wanted, names = str(name)[:_LONGEST].lower(), list(known)
    found = difflib.get_close_matches(wanted, names, n=_MOST, cutoff=_TYPO_CUTOFF)
    found += [
        item for item in names if f"_{item}_" in f"_{wanted}_" or f"_{wanted}_" in f"_{item}_"
    ]
    return list(dict.fromkeys(found))[:_MOST]
