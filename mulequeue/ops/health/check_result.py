"""Findings: the results of the doctor's checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mulequeue.errors import ConfigurationError
from mulequeue.settings.redaction import redact

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. Passwords and secrets are removed from its texts."""

    id: str
    """The name of the check. It is stable, so that scripts can use it."""
    level: Level
    """``error``: generations are lost, blocked or failing. ``warning``: they may be, or the check had no
    result. ``ok``: neither."""
    text: str
    """The fact that was found and its consequence."""
    fix: str = ""
    """The remedy. Lines that start with two spaces are commands or settings to copy unchanged."""


def passed(id: str, text: str) -> Finding:
    return Finding(id, "ok", redact(text))


def warning(id: str, text: str, fix: str) -> Finding:
    return Finding(id, "warning", redact(text), redact(fix))


def error(id: str, text: str, fix: str) -> Finding:
    return Finding(id, "error", redact(text), redact(fix))


def of_configuration(id: str, exc: ConfigurationError, fix: str = "") -> Finding:
    """Turn a configuration error into a finding: the text is its first sentence; the rest is added to ``fix``."""
    text, _, rest = str(exc).partition(". ")
    return error(id, f"{text.rstrip('.')}.", " ".join(part for part in (fix, rest) if part))


def setting_name(app: Any, name: str) -> str:
    """Return a setting's name as this project spells it: ``CELERY_…`` in a Django project."""
    prefix = getattr(app.conf, "prefix", None)
    return f"{prefix}{name}".upper() if prefix else name


def error_message(exc: Exception) -> str:
    """Return an exception's message on one line, without the final full stop."""
    return " ".join(str(exc).rstrip(".").split()) or type(exc).__name__


def format_list(names: list[str], most: int = 3) -> str:
    """Return the first names and the number of the others: ``a, b, c and 4 more``."""
    shown = ", ".join(names[:most])
    left = len(names) - most
    return f"{shown} and {left} more" if left > 0 else shown


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 worker`` or ``2 workers``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
