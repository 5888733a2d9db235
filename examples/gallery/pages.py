"""The contexts of the templates, for both web frameworks."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from gallery import fields
from gallery.album import FAILED, WAITING, Album
from gallery.album import progress as album_progress
from gallery.cards import card, failed_places, members, paging
from mulequeue.ledger import Ledger


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
    ledger: Ledger,
    found: Album,
    given: Mapping[str, str],
    texts: Callable[[Sequence[int]], Sequence[str]],
    file_url: Callable[[str, int], str],
    again_url: Callable[[int], str],
    urls: Mapping[str, str],
) -> dict[str, Any]:
    """Return the context of one page of an album.

    :param given: the query of the URL: ``page``, and ``show=failed`` for what did not succeed.
    :param texts: returns the prompts at some places.
    :param file_url: returns the URL of a file, from task id and number.
    :param again_url: returns the URL of the page that generates a prompt again, from its place.
    :param urls: of the album: ``page``, ``cards``, ``events``, ``retry``, ``cancel``, ``zip``.
    """
    show, number = _shown(given)
    progress = album_progress(ledger, found)
    places: Sequence[int] = range(found.size)
    if show:
        places = failed_places(members(ledger, found, places, is_over=progress["is_over"]))
    page = paging(places, number)
    here = members(ledger, found, page["places"], is_over=progress["is_over"])
    cards = [
        card(member, text, file_url, again_url(member.index))
        for member, text in zip(here, texts(page["places"]), strict=True)
    ]
    counts = progress["counts"]
    failed = sum(counts[name] for name in FAILED)
    buttons = {
        "failed": failed,
        "retry": counts["failed"] + counts["submit_unknown"],
        "waiting": sum(counts[name] for name in WAITING),
        "ready": counts["succeeded"],
    }
    query = f"show={show}&" if show else ""
    return {
        "album": {"model": found.model, "size": found.size, "size_text": size_text(found)},
        "album_urls": {**urls, "cards": f"{urls['cards']}?{query}page={page['number']}"},
        "progress": progress,
        "cards": cards,
        "page": page,
        "show": show,
        "query": query,
        "buttons": {**buttons, "version": "/".join(map(str, [show, *buttons.values()]))},
    }


def _shown(given: Mapping[str, str]) -> tuple[str, int]:
    """Return the filter and the number of the page that a URL asks for."""
    page = given.get("page", "1")
    number = int(page) if page.isdecimal() and len(page) < 9 else 1
    return "failed" if given.get("show") == "failed" else "", number


def index_of(form: Mapping[str, str], found: Album) -> int | None:
    """Return the place of the prompt that a form or URL names; None: it means the whole album.

    :raises ValueError: the album has no such prompt.
    """
    given = form.get("index", "")
    if not given:
        return None
    index = int(given) if given.isdecimal() and len(given) < 9 else -1
    if not 0 <= index < found.size:
        raise ValueError(given)
    return index


def is_emulated() -> bool:
    """Return whether the API is an emulator on this machine, which charges nothing."""
    host = urlsplit(os.environ.get("MULEROUTER_BASE_URL", "")).hostname or ""
    return host == "localhost" or host.startswith("127.")


def size_text(album: Album) -> str:
    """Return ``1,200 prompts``."""
    return f"{album.size:,} prompt{'' if album.size == 1 else 's'}"
