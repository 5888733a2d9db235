"""Redaction of passwords and secrets in texts for users."""

from __future__ import annotations

import re


def redact(text: str) -> str:
    """Replace the passwords in URLs and the values of ``password=``, ``secret=`` and ``token=`` by ``…``."""
    text = re.sub(r"(\w+://[^\s/@:]*):[^\s/]+@", r"\1:…@", text)
    return re.sub(r"(?i)((?:password|secret|token)=)[^&\s'\"]+", r"\1…", text)
