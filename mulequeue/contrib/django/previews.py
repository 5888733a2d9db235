"""Show the files of a generation in the admin."""

from __future__ import annotations

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from mulequeue.contrib.django import texts
from mulequeue.contrib.django.models import Generation, public_url

FILE_VIEW = "mulequeue_generation_file"
_PICTURE = '<img src="{}" height="{}" loading="lazy" alt="{}">'
_VIDEO = '<video src="{}" height="{}" preload="metadata" muted controls aria-label="{}"></video>'
_SOUND = '<audio src="{}" data-height="{}" preload="none" controls aria-label="{}"></audio>'
_TAGS = {"image": _PICTURE, "video": _VIDEO, "audio": _SOUND}


def file_urls(row: Generation) -> list[str]:
    """Return the URLs of the files for the administrator's browser."""
    stored = [
        public_url(item) or reverse(f"admin:{FILE_VIEW}", args=[quote(row.pk), number])
        for number, item in enumerate(row.files)
    ]
    return stored or row.urls


def previews(row: Generation, urls: list[str], height: int) -> SafeString:
    """Return an element per URL that shows or plays the file.

    :param height: in CSS pixels.
    """
    tag, prompt = _TAGS.get(row.kind, _PICTURE), texts.short_prompt(row)
    return format_html_join(" ", tag, ((url, height, prompt) for url in urls))
