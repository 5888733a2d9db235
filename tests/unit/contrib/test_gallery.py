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
    assert text == album._text(4, done, counts)


def test_the_form_rejects_an_album_over_the_budget(album, monkeypatch):
    """It shows the reason, and nothing is stored or sent."""
    monkeypatch.setenv("MULEQUEUE_MAX_PER_BATCH", "2")

    assert "max_per_batch" in album.refusal("alibaba/wan2.6-t2i", ["mule"] * 3)
    assert album.refusal("alibaba/wan2.6-t2i", ["mule"] * 2) is None
