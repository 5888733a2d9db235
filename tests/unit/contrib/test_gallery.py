"""What the examples' gallery says and refuses, whichever host serves it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def album(monkeypatch):
    """The gallery's module."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("gallery.album")


@pytest.mark.parametrize(
    ("done", "counts", "text"),
    [
        (0, {}, "0 of 4 done: 4 queued"),
        (1, {"succeeded": 3}, "1 of 4 done: 1 ready, 2 being stored, 1 queued"),
        (1, {"failed": 1, "succeeded": 2}, "1 of 4 done: 1 failed, 2 being stored, 1 queued"),
        (4, {"succeeded": 3, "cancelled": 1}, "4 of 4 done: 3 ready, 1 cancelled"),
    ],
)
def test_ready_is_what_can_be_seen(album, done, counts, text):
    """A generated picture counts as ready when its file is stored."""
    assert text == album._text(4, done, album._shown_counts(4, done, counts))


def test_the_form_rejects_an_album_over_the_budget(album, monkeypatch):
    """It shows the reason, and nothing is stored or sent."""
    monkeypatch.setenv("MULEQUEUE_MAX_PER_BATCH", "2")

    assert "max_per_batch" in album.refusal("alibaba/wan2.6-t2i", ["mule"] * 3)
    assert album.refusal("alibaba/wan2.6-t2i", ["mule"] * 2) is None


@pytest.mark.parametrize(
    ("size", "places"), [(0, []), (60, []), (61, [60]), (130, [*range(60, 120)])]
)
def test_pages_of_an_album(album, size, places):
    """The second page, or the last one if there are fewer."""
    paging = importlib.import_module("gallery.cards").paging(range(size), 2)

    assert (places or [*range(size)]) == paging["places"]
    assert (size > 120) == (paging["next"] is not None)


@pytest.mark.parametrize("text", ["a \x07 fox", "", " \n "])
def test_an_edited_prompt_is_checked(album, text):
    """As those of the form are; the reason names no line, because there is one."""
    _, wrong = importlib.import_module("gallery.fields").read_prompt("alibaba/wan2.6-t2i", text)

    assert wrong
    assert "Line" not in wrong


def test_an_edited_prompt_is_one_line(album):
    """Line breaks are spaces."""
    fields = importlib.import_module("gallery.fields")

    assert ("a blue fox", None) == fields.read_prompt("alibaba/wan2.6-t2i", " a blue\r\nfox ")


@pytest.mark.parametrize(
    ("url", "is_emulated"),
    [
        ("http://127.0.0.1:8787", True),
        ("http://localhost:8787", True),
        ("https://api.mulerouter.ai", False),
        ("", False),
    ],
)
def test_an_emulated_api_is_named(album, monkeypatch, url, is_emulated):
    """The page says that the API is an emulator, if it is one on this machine."""
    monkeypatch.setenv("MULEROUTER_BASE_URL", url)

    assert is_emulated == importlib.import_module("gallery.pages").is_emulated()
