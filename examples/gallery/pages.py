"""The contexts of the templates, for both web frameworks."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from gallery import fields
from gallery.album import Album


def home(
    typed: Mapping[str, str], errors: Mapping[str, str], albums: Sequence[tuple[Album, str, str]]
) -> dict[str, Any]:
    """Return the context of the form and the session's albums.

    :param typed: the submitted form, shown again for correction.
    :param albums: the albums, each with its first prompt and its URL.
    """
    return {
        "errors": errors,
        "typed": typed.get("prompts", ""),
        "form_id": secrets.token_hex(8),
        "models": fields.choices(typed.get("model", "")),
        "limits": {
            "prompts": fields.MOST_PROMPTS,
            "prompts_text": f"{fields.MOST_PROMPTS:,}",
            "characters": fields.MOST_CHARACTERS,
            "characters_text": f"{fields.MOST_CHARACTERS:,}",
            "bytes": fields.MOST_BYTES,
        },
        "albums": [
            {"title": title[:120], "url": url, "model": album.model, "size_text": size_text(album)}
            for album, title, url in albums
        ],
    }


def album(
    found: Album,
    progress: Mapping[str, Any],
    cards: Sequence[Mapping[str, Any]],
    page: Mapping[str, Any],
    *,
    events: str,
    cards_url: str,
) -> dict[str, Any]:
    """Return the context of one page of an album.

    :param events: the URL of its server-sent events.
    :param cards_url: the URL of only this page's cards.
    """
    return {
        "album": {
            "model": found.model,
            "size_text": size_text(found),
            "events_url": events,
            "cards_url": cards_url,
        },
        "progress": progress,
        "cards": cards,
        "page": page,
    }


def size_text(album: Album) -> str:
    """Return ``1,200 prompts``."""
    return f"{album.size:,} prompt{'' if album.size == 1 else 's'}"
