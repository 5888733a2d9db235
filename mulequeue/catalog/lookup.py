"""Names and paths as users type them: what is wrong with one, and which models it may mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from mulequeue.errors import InputError

_MAX_SUGGESTIONS = 5


def check_path(path: str) -> str:
    """The path itself, when a generation can be created at it.

    :raises InputError: with what to change.
    """
    wrong = _problem_of(path)
    if wrong:
        raise InputError(
            f"The path {path!r} cannot be used: {wrong} "
            "It should read like '/vendors/alibaba/v1/wan2.6-t2v/generation'."
        )
    return path


def _problem_of(path: str) -> str | None:
    if "://" in path:
        return "leave out the host, which belongs to the profile (base_url)."
    if not path.startswith("/vendors/"):
        return "it has to start with '/vendors/'."
    if any(char.isspace() or not char.isprintable() for char in path):
        return "take out the white space and the control characters."
    if "?" in path or "#" in path:
        return "take out '?' and '#' and what follows; parameters belong into the input."
    if path.endswith("/"):
        return "take the slash off its end."
    if "//" in path:
        return "write single slashes."
    if any(part in (".", "..") for part in path.split("/")) or ".." in path:
        return "take out the '.' and '..'."
    if not re.fullmatch(r"[A-Za-z0-9/._~-]+", path):
        return "use only letters, digits and '/', '.', '_', '~', '-'."
    return None


def unknown_model(name: str, known: Iterable[str]) -> InputError:
    """The error for a name that no model has, with the nearest names."""
    near = nearest(name, [item for item in known if not item.startswith("/")])
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return InputError(
        f"Unknown model {name!r}. {hint}"
        "'mulequeue models' lists all; a '/vendors/…' path works without being listed."
    )


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """At most five of the known names that ``name`` may stand for, the likeliest first.

    A missing or wrong vendor does not matter: the part after the vendor is compared as well.
    """
    names = sorted(known)
    wanted = name.strip().lower().removesuffix("/generation").strip("/")
    tail = wanted.partition("/")[2] or wanted
    tails = {item: item.partition("/")[2] for item in names}
    found = [item for item in names if item == wanted]
    found += [item for item in names if wanted and f"/{tails[item]}/".startswith(f"/{tail}/")]
    found += difflib.get_close_matches(wanted, names, n=3, cutoff=0.7)
    for close in difflib.get_close_matches(tail, set(tails.values()), n=3, cutoff=0.6):
        found += [item for item in names if tails[item] == close]
    return list(dict.fromkeys(found))[:_MAX_SUGGESTIONS]
