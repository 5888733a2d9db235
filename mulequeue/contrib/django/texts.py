"""Texts that the admin shows of a row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from mulequeue.contrib.django.models import Generation

_NONE = "—"
_SHORT = 80


def reason(error: Mapping[str, Any] | None) -> str:
    """Return why a generation did not succeed, in a few words."""
    given = error or {}
    return str(given.get("detail") or given.get("title") or given.get("type") or "")


def error(error: Mapping[str, Any] | None) -> str:
    """Return all that is known about an error, in one line."""
    given = error or {}
    what = [str(given[name]) for name in ("type", "title", "detail") if given.get(name)]
    more = [
        f"{text} {given[name]}"
        for name, text in (("code", "code"), ("status_code", "HTTP"), ("trace_id", "trace"))
        if given.get(name) is not None
    ]
    return ": ".join(dict.fromkeys(what)) + (f" ({', '.join(more)})" if more else "")


def pairs(values: Mapping[str, Any]) -> SafeString | str:
    """Return names and values, one per line."""
    lines = ((name, _value(value)) for name, value in values.items())
    return format_html_join("\n", '<div class="pair"><b>{}</b> {}</div>', lines) or _NONE


def links(row: Generation, urls: Sequence[str]) -> SafeString | str:
    """Return a link per stored file with its size, else per asset of the API."""
    sizes = [f"{item['media_type']}, {item['bytes']:,} bytes" for item in row.files]
    ends = [f"until {item.get('expires_at') or 'unknown'}" for item in row.assets]
    lines = zip(urls, urls, sizes or ends, strict=False)
    return format_html_join("\n", '<div class="pair"><a href="{}">{}</a> {}</div>', lines) or _NONE


def moment(at: datetime | None, *, since: datetime | None = None) -> str:
    """Return a time with seconds, and how long it was since another one."""
    if at is None:
        return _NONE
    shown = timezone.localtime(at) if timezone.is_aware(at) else at
    took = f" (after {(at - since).total_seconds():.1f} s)" if since else ""
    return f"{shown:%Y-%m-%d %H:%M:%S}{took}"


def short(text: str) -> str:
    """Return the beginning of a text, at most 80 characters."""
    return text if len(text) <= _SHORT else f"{text[:_SHORT].rstrip()}…"


def short_prompt(row: Generation) -> str:
    """Return the beginning of the prompt; of an adopted generation that has none, its remote id."""
    return short(row.prompt or (f"adopted: {row.remote_id}" if row.remote_id else row.task_id))


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
