"""Error texts for malformed paths and unknown model names, with suggestions of similar names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_MAX_SUGGESTIONS = 5
_FIXES = (
    (r"://", "remove the host; set it as base_url of the profile."),
    (r"^(?!/vendors/)", "it must start with '/vendors/'."),
    (r"[\s\x00-\x1f\x7f]", "remove white space and control characters."),
    (r"[?#]", "remove '?' and '#' and the text after them; parameters belong in the input."),
    (r"/\Z", "remove the slash at the end."),
    (r"//", "replace '//' by '/'."),
    (r"\.\.|/\.(/|\Z)", "remove the '.' and '..'."),
    (r"[^A-Za-z0-9/._~-]", "use only letters, digits and '/', '.', '_', '~', '-'."),
)
"""Pattern that a malformed path matches, and the text about what to change."""


def path_problem(path: str) -> str | None:
    """Return the text of the error for a malformed path, or None for a well-formed one."""
    fix = next((fix for pattern, fix in _FIXES if re.search(pattern, path)), None)
    if fix is None:
        return None
    return (
        f"The path {path!r} cannot be used: {fix} "
        "A valid path is '/vendors/alibaba/v1/wan2.6-t2v/generation'."
    )


def unknown_model_text(name: str, known: Iterable[str]) -> str:
    """Return the text of the error for an unknown name, with similar names."""
    near = nearest(name, [item for item in known if not item.startswith("/")])
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return (
        f"Unknown model {name!r}. {hint}"
        "'mulequeue models' lists all models; an unlisted '/vendors/…' path is accepted as well."
    )


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return at most five known names that resemble ``name``, the most similar first.

    The part after the vendor is compared on its own as well, so names are found without the right vendor.
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
