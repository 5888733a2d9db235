"""Which app the doctor judges, and where its settings are from."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

_PREFIXES = ("MULEQUEUE_", "MULEROUTER_")


def is_unconfigured(app: Any) -> bool:
    """Return whether it is the standalone app with nothing but its defaults."""
    return _is_standalone(app) and not find_spec("celeryconfig") and not _variables()


def source_of(app: Any) -> str:
    """Return where the settings of an app are from, in a few words."""
    if getattr(app.conf, "prefix", None) and os.environ.get("DJANGO_SETTINGS_MODULE"):
        return f"settings {os.environ['DJANGO_SETTINGS_MODULE']}"
    if not _is_standalone(app):
        return "settings of the project"
    found = find_spec("celeryconfig")
    return f"settings {found.origin}" if found else "settings from the environment"


def _is_standalone(app: Any) -> bool:
    return bool(app.main == "mulequeue")


def _variables() -> list[str]:
    return [name for name in os.environ if name.startswith(_PREFIXES)]
