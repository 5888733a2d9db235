"""Keeps tests away from the real API and from the user's own key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from mulequeue.errors import ConfigurationError
from mulequeue.settings import SITES

KEY = "sk-mr-" + "0" * 64
"""The key that tests run with: of the right form, and of nobody."""
_VARIABLES = ("MULEROUTER_BASE_URL", "MULEQUEUE_BASE_URL")
_REAL = frozenset(urlsplit(url).hostname for url in SITES.values())


def refuse_real_api(environ: Mapping[str, str] = os.environ) -> None:
    """Refuse to go on when the environment points at the real API.

    :raises ConfigurationError: it does; the text says which variable to unset.
    """
    for name in _VARIABLES:
        url = environ.get(name, "")
        if urlsplit(url if "//" in url else f"//{url}").hostname in _REAL:
            raise ConfigurationError(
                f"{name} points at the real API ({url}), where every generation costs money. "
                f"The mulequeue_… fixtures bring an emulator: unset {name} for the tests."
            )
