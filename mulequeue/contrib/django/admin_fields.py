"""The columns and fields of the admin pages. Each public function returns the content of one for a row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from redis.exceptions import RedisError

from mulequeue.catalog.usd import format_usd
from mulequeue.contrib.django.filesystem import public_url
from mulequeue.contrib.django.models import Batch, Generation
from mulequeue.contrib.timeline_svg import timeline_svg
from mulequeue.engine.worker_context import worker_context
from mulequeue.ledger.timeline import phases_of

FILE_VIEW = "mulequeue_generation_file"
_NONE = "—"
_SHORT = 80
_TAGS = {
    "image": '<img src="{}" height="{}" loading="lazy" alt="{}">',
    "video": '<video src="{}" height="{}" preload="metadata" muted controls aria-label="{}"></video>',
    "audio": '<audio src="{}" data-height="{}" preload="none" controls aria-label="{}"></audio>',
}


@admin.display(description="file")
def thumbnail(row: Generation) -> SafeString | str:
    urls = [] if row.kind == "audio" else _file_urls(row)
    return _previews(row, urls[:1], height=60) or _NONE


def result(row: Generation) -> SafeString:
    return _previews(row, _file_urls(row), height=320)


def files(row: Generation) -> SafeString | str:
    """Return a link per stored file with its size, else per asset of the API with its expiry."""
    sizes = [f"{item['media_type']}, {item['bytes']:,} bytes" for item in row.files]
    assets = [(url, item.get("expires_at")) for item in row.assets if (url := public_url(item))]
    lines = (
        [(url, url, size) for url, size in zip(_file_urls(row), sizes, strict=True)]
        if sizes
        else [(url, url, f"until {end or 'unknown'}") for url, end in assets]
    )
    return format_html_join("\n", '<div class="pair"><a href="{}">{}</a> {}</div>', lines) or _NONE


@admin.display(description="prompt", ordering="prompt")
def short_prompt(row: Generation) -> str:
    """Return the beginning of the prompt; if there is none, the remote id, else the task id."""
    return _short(row.prompt or (f"adopted: {row.remote_id}" if row.remote_id else row.task_id))


@admin.display(description="state", ordering="state")
def state_and_reason(row: Generation) -> str:
    return _short(row.state_and_reason)


def reason(row: Generation) -> str:
    """Return all details of the error of a row in one line."""
    given = row.error or {}
    what = [str(given[name]) for name in ("type", "title", "detail") if given.get(name)]
    more = [
        f"{text} {given[name]}"
        for name, text in (("code", "code"), ("status_code", "HTTP"), ("trace_id", "trace"))
        if given.get(name) is not None
    ]
    return ": ".join(dict.fromkeys(what)) + (f" ({', '.join(more)})" if more else "") or _NONE


def metadata(row: Generation) -> SafeString | str:
    return _pairs(row.metadata)


@admin.display(description="input")
def parameters(row: Generation) -> SafeString | str:
    return _pairs(row.input or {})


def repeated(row: Generation) -> SafeString | str:
    before = [("again of", row.again_of)] if row.again_of else []
    after = [("again as", other) for other in row.again.order_by("created_at")]
    links = (
        (word, reverse("admin:mulequeue_generation_change", args=[quote(other.pk)]), other.pk)
        for word, other in [*before, *after]
    )
    return format_html_join(", ", '{} <a href="{}">{}</a>', links) or _NONE


@admin.display(description="cost (estimate)", ordering="estimated_usd")
def estimate(row: Generation) -> str:
    return _NONE if row.estimated_usd is None else format_usd(row.estimated_usd)


@admin.display(ordering="created_at")
def created(row: Generation | Batch) -> str:
    return _moment(row.created_at)


def submitted(row: Generation) -> str:
    return _moment(row.submitted_at)


def finished(row: Generation) -> str:
    return _moment(row.finished_at, since=row.submitted_at)


def row_written(row: Generation) -> str:
    return _moment(row.mirrored_at)


def timeline(row: Generation) -> SafeString | str:
    """Draw the timeline of the generation. It is available while the ledger keeps the record."""
    try:
        queries = worker_context().ledger.queries
        record, now = queries.record(row.task_id), queries.now()
    except RedisError:
        return _NONE
    drawing = "" if record is None else timeline_svg(phases_of(record, now))
    return mark_safe(drawing) if drawing else _NONE  # timeline_svg escapes all texts


def _file_urls(row: Generation) -> list[str]:
    """Return the URLs of the stored files, else of the API's assets, for the administrator's browser."""
    stored = [
        public_url(item) or reverse(f"admin:{FILE_VIEW}", args=[quote(row.pk), number])
        for number, item in enumerate(row.files)
    ]
    return stored or row.urls


def _previews(row: Generation, urls: list[str], *, height: int) -> SafeString:
    """Return an HTML element per URL that shows or plays the file.

    :param height: of an image or a video, in CSS pixels.
    """
    tag, prompt = _TAGS.get(row.kind, _TAGS["image"]), short_prompt(row)
    return format_html_join(" ", tag, ((url, height, prompt) for url in urls))


def _pairs(values: Mapping[str, Any]) -> SafeString | str:
    """Return names and values as HTML, one pair per line."""
    lines = (
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in values.items()
    )
    return format_html_join("\n", '<div class="pair"><b>{}</b> {}</div>', lines) or _NONE


def _moment(at: datetime | None, *, since: datetime | None = None) -> str:
    """Return a time with seconds, and the time that has passed since ``since``, if that is given."""
    if at is None:
        return _NONE
    took = f" (after {(at - since).total_seconds():.1f} s)" if since else ""
    return f"{timezone.template_localtime(at):%Y-%m-%d %H:%M:%S}{took}"


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[:_SHORT].rstrip()}…"
