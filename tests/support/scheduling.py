"""Which tests run in one process of pytest-xdist, so that what they share is started once."""

from __future__ import annotations

import re
from typing import Any

from xdist.scheduler import LoadScopeScheduling

_SHARED = re.compile(
    r"/(django|browser)/.*\[(sqlite naive|sqlite|postgresql|mariadb|flask|django)\b"
)
"""A running Django project for each database; a gallery with a browser for each web framework."""


class SharedServersScheduling(LoadScopeScheduling):
    """Give each idle process the next test in the order of the command line."""

    def __init__(self, config: Any, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # keep that order: the long ones are named first

    def _split_scope(self, nodeid: str) -> str:
        shared = _SHARED.search(nodeid)
        if shared is not None:
            return f"{shared[1]} {shared[2]}"
        # Unit tests are quick: one message to the process for a whole file of them.
        return nodeid.split("::")[0] if "/unit/" in nodeid else nodeid
