"""No password in what is shown."""

from __future__ import annotations

import re


def redact(text: str) -> str:
    """The text without the passwords of the URLs in it."""
    text = re.sub(r"(\w+://[^\s/@:]*):[^\s/]+@", r"\1:…@", text)
    return re.sub(r"(?i)((?:password|secret|token)=)[^&\s'\"]+", r"\1…", text)
