"""Keep tests away from the real API and from the user's key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from mulequeue.errors import ConfigurationError
from mulequeue.settings import SITES

KEY = "sk-mr-" + "0" * 64
"""The API key of the tests: it has the right form and belongs to no account."""
_VARIABLES = ("MULEROUTER_BASE_URL", "MULEQUEUE_BASE_URL")
_REAL = frozenset(urlsplit(url).hostname for url in SITES.values())


def refuse_real_api(environ: Mapping[str, str] = os.environ) -> None:
    """Raise an error if the environment points at the real API.

    :raises ConfigurationError: a variable has the address of the real API; the text names it.
    """
    for name in _VARIABLES:
        url = environ.get(name, "")
        if urlsplit(url if "//" in url else f"//{url}").hostname in _REAL:
            raise ConfigurationError(
                f"{name} points at the real API ({url}), where every generation costs money. "
                f"The mulequeue_… fixtures start an emulator: unset {name} for the tests."
            )
