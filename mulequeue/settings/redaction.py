"""Redaction of passwords and secrets in texts for users."""

from __future__ import annotations

import re


def redact(text: str) -> str:
    """Return the text with passwords of URLs and values of secret parameters replaced by ``…``."""
    text = re.sub(r"(\w+://[^\s/@:]*):[^\s/]+@", r"\1:…@", text)
    return re.sub(r"(?i)((?:password|secret|token)=)[^&\s'\"]+", r"\1…", text)
