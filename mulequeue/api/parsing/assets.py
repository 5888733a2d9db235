"""Find the assets in a response: ``videos: [url, …]`` as documented, and the other forms seen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mulequeue.outcome import Kind

_KINDS: tuple[Kind, ...] = ("image", "video", "audio")
_FORMS = ("{}s", "{}", "{}_url", "{}_urls")
_EXTENSIONS: dict[str, Kind] = {
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "gif", "bmp", "tiff", "avif"), "image"),
    **dict.fromkeys(("mp4", "mov", "webm", "mkv", "m4v"), "video"),
    **dict.fromkeys(("mp3", "wav", "flac", "pcm", "ogg", "m4a", "aac"), "audio"),
}


def find_assets(
    body: Mapping[str, Any], declared: Kind | None
) -> tuple[str | None, Kind | None, tuple[str, ...]]:
    """Return the top-level key of the assets, their kind, and their URLs.

    Without their key, a billed generation would count as one without assets. So all known keys are searched:
    ``videos``, ``video``, ``video_url`` and ``video_urls`` of each kind, the declared kind first, then ``output``
    and the same keys in it.

    :returns: key None and no URLs if nothing is found.
    """
    for key, kind in _KEYS[declared]:
        if key in body and (urls := _read_urls(body[key], kind)):
            return key, kind, urls
    found, urls = _find_in_output(body.get("output"), declared)
    if urls:
        return "output", found or declared or _kind_by_extension(urls[0]), urls
    return None, declared, ()


def _find_in_output(output: Any, declared: Kind | None) -> tuple[Kind | None, tuple[str, ...]]:
    if not isinstance(output, dict):
        return None, _read_urls(output, declared)
    for key, kind in _KEYS[declared]:
        if key in output and (urls := _read_urls(output[key], kind)):
            return kind, urls
    return None, _read_urls(output.get("url") or output.get("urls"), declared)


def _keys_in_order(declared: Kind | None) -> tuple[tuple[str, Kind], ...]:
    kinds = sorted(_KINDS, key=lambda kind: kind != declared)
    return tuple((form.format(kind), kind) for form in _FORMS for kind in kinds)


_KEYS = {declared: _keys_in_order(declared) for declared in (None, *_KINDS)}


def _read_urls(value: Any, kind: Kind | None) -> tuple[str, ...]:
    """Return the URLs in a string, in ``{"url": …}``, or in a list of these."""
    items = value if isinstance(value, list) else [value]
    texts = (item.get("url") if isinstance(item, dict) else item for item in items)
    return tuple(url for text in texts if isinstance(text, str) and (url := _read_url(text, kind)))


def _read_url(text: str, kind: Kind | None) -> str | None:
    text = text.strip()
    if text[:8].lower().startswith(("http://", "https://", "data:")):
        return text
    # Speech is returned as hex digits unless output_format is "url" at the root of the input.
    if kind == "audio" and len(text) % 2 == 0 and re.fullmatch(r"[0-9a-fA-F]+", text):
        return f"hex:{text}"
    return None


def _kind_by_extension(url: str) -> Kind | None:
    return _EXTENSIONS.get(url.partition("?")[0].rpartition(".")[2].lower())
