"""The files of a generation are found under every key and in every form (rows 7 and 8)."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_answers import URL, envelope

from mulequeue.api.parsing import read_task
from mulequeue.outcome import Kind


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"images": [URL]}, "image"),
        ({"videos": [URL]}, "video"),
        ({"audios": [URL]}, "audio"),
        ({"image": URL}, "image"),
        ({"video": [URL]}, "video"),
        ({"audio": {"url": URL}}, "audio"),
        ({"video_url": URL}, "video"),
        ({"videos": [{"url": URL}]}, "video"),
        ({"output": {"url": URL}}, "video"),
        ({"output": {"videos": [URL]}}, "video"),
        ({"output": {"video_url": URL}}, "video"),
        ({"output": [URL]}, "video"),
        ({"output": URL}, "video"),
        ({"videos": [], "images": [URL]}, "image"),
        ({"videos": None, "images": [None, {}, 3, "", f" {URL} "]}, "image"),
    ],
)
@pytest.mark.parametrize("declared", [None, "video"])
def test_row_07_assets_are_found_under_every_key(
    fields: dict[str, Any], kind: Kind, declared: Kind | None
) -> None:
    """A result under an unexpected, singular or nested key is found, with its kind."""
    reply = read_task(envelope(**fields), kind=declared)

    assert ("succeeded", (URL,), kind) == (reply.state, reply.urls, reply.kind)


def test_row_07_the_declared_key_comes_first() -> None:
    """If a response contains several kinds, the model's own kind is the result."""
    body = envelope(images=["https://a.example/cover.png"], videos=[URL], description="d")

    reply = read_task(body, kind="video")

    assert (URL,) == reply.urls
    assert {"images": ["https://a.example/cover.png"], "description": "d"} == reply.extra


def test_row_07_assets_keep_their_order() -> None:
    """Four images are returned in the API's order."""
    urls = [f"https://a.example/{index}.png" for index in (3, 1, 2, 0)]

    assert tuple(urls) == read_task(envelope(images=urls), kind="image").urls


@pytest.mark.parametrize("fields", [{}, {"videos": []}, {"videos": None}, {"videos": ["oops"]}])
def test_row_07_completed_without_assets_is_a_failure_of_its_own(fields: dict[str, Any]) -> None:
    """A generation that completed without a file failed; the error mentions the bill."""
    reply = read_task(envelope("completed", **fields), kind="video")

    assert "failed" == reply.state
    assert reply.error is not None
    assert "NoAssets" == reply.error.type
    assert "billed" in str(reply.error.title)


@pytest.mark.parametrize(
    ("item", "url"),
    [
        ("https://a.example/x.mp3", "https://a.example/x.mp3"),
        ("fffb90C4", "hex:fffb90C4"),
        ("data:audio/mpeg;base64,//uQ", "data:audio/mpeg;base64,//uQ"),
    ],
)
def test_row_08_audio_is_a_url_or_hex_digits(item: str, url: str) -> None:
    """Audio that comes as hex digits is marked as such; a URL stays a URL."""
    assert (url,) == read_task(envelope(audios=[item]), kind="audio").urls


@pytest.mark.parametrize("item", ["fff", "xyz0", "", "fe ff"])
def test_row_08_broken_hex_is_no_audio(item: str) -> None:
    """Hex digits of an incomplete byte are not an asset."""
    assert "failed" == read_task(envelope(audios=[item]), kind="audio").state


def test_row_08_hex_digits_are_audio_only() -> None:
    """Hex digits under an image key are not an asset."""
    assert "failed" == read_task(envelope(images=["fffb90c4"]), kind="image").state
