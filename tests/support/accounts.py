"""A fleet with one account per row of a table: what pauses one row never pauses another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from support.fleet import KEY, Fleet

_PROFILES = """
import os

_names, _elsewhere = {names!r}, {elsewhere!r}
mulequeue_profiles = {{
    name: {{
        "api_key": {key!r},
        "base_url": _elsewhere.get(name, os.environ["MULEROUTER_BASE_URL"]),
    }}
    for name in _names
}}
"""


def fleet_of_accounts(
    folder: Path,
    names: Iterable[str],
    *,
    elsewhere: Mapping[str, str] | None = None,
    **options: Any,
) -> Fleet:
    """A fleet whose workers know a profile of each name.

    :param elsewhere: base URLs of the profiles that are not the emulator's.
    :param options: of :class:`Fleet`.
    """
    elsewhere = dict(elsewhere or {})
    conf = _PROFILES.format(names=list(names), elsewhere=elsewhere, key=KEY)
    return Fleet(folder, celeryconfig=conf, **options)
