"""What the doctor says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mulequeue.errors import ConfigurationError
from mulequeue.settings.redaction import redact

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. Holds no secret."""

    id: str
    """What was looked at: a word that stays the same, for scripts."""
    level: Level
    """``error``: generations are lost, stand still or fail. ``warning``: they may some day, or it
    cannot be known."""
    text: str
    """How it stands."""
    fix: str = ""
    """What to do about it. Lines that start with two spaces are to be set or typed as they are."""


def passed(id: str, text: str) -> Finding:
    return Finding(id, "ok", redact(text))


def warning(id: str, text: str, fix: str) -> Finding:
    return Finding(id, "warning", redact(text), redact(fix))


def error(id: str, text: str, fix: str) -> Finding:
    return Finding(id, "error", redact(text), redact(fix))


def of_configuration(id: str, exc: ConfigurationError, fix: str = "") -> Finding:
    """The error's first sentence is how it stands, the rest is what to do."""
    text, _, rest = str(exc).partition(". ")
    return error(id, f"{text.rstrip('.')}.", " ".join(part for part in (fix, rest) if part))


def setting_name(app: Any, name: str) -> str:
    """One of Celery's or mulequeue's settings as this project writes it: ``CELERY_…`` in Django."""
    prefix = getattr(app.conf, "prefix", None)
    return f"{prefix}{name}".upper() if prefix else name


def format_list(names: list[str], most: int = 3) -> str:
    """``a, b, c and 4 more``."""
    shown = ", ".join(names[:most])
    left = len(names) - most
    return f"{shown} and {left} more" if left > 0 else shown


def format_count(number: int, noun: str) -> str:
    """``1 worker``, ``2 workers``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
