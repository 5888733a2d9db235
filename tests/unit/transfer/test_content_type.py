"""The media type is detected by the first bytes of a file."""

from __future__ import annotations

import pytest

from mulequeue.errors import DownloadError
from mulequeue.transfer.content_type import detect_media_type

MP4 = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + b"\0" * 64


@pytest.mark.parametrize(
    ("head", "kind", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "image", ("image/png", "png")),
        (b"\xff\xd8\xff\xe0" + b"\0" * 64, "image", ("image/jpeg", "jpg")),
        (b"RIFF\x24\0\0\0WEBPVP8 " + b"\0" * 64, "image", ("image/webp", "webp")),
        (MP4, "video", ("video/mp4", "mp4")),
        (b"\0\0\0\x10ftypiso6\0\0\0\0" + b"\0" * 64, "video", ("video/mp4", "mp4")),
        (b"ID3\x04" + b"\0" * 64, "audio", ("audio/mpeg", "mp3")),
        (b"\x00\x01\xff\x7f" * 64, "audio", ("audio/pcm", "pcm")),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "video", ("image/png", "png")),
    ],
)
def test_media_is_known_by_its_bytes(head, kind, expected):
    """Type and extension depend on the content, not on the expected kind."""
    assert expected == detect_media_type(head, kind)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"<!doctype html><title>Oops</title>", "video"),
        (b'{"error": "expired"}', "audio"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "image"),
        ("ä".encode() * 5000, "audio"),
        (b"%PDF-1.7 " + b"\0" * 64, "image"),
        (b"PK\x03\x04" + b"\0" * 64, "audio"),
        (b"\x00\x01\xff\x7f" * 64, "image"),
    ],
)
def test_what_is_no_media_is_refused(head, kind):
    """An error page, JSON, a document and random bytes are rejected."""
    with pytest.raises(DownloadError, match=f"not {kind}"):
        detect_media_type(head, kind)


def test_a_lying_box_length_costs_nothing():
    """A header that announces a box of four gigabytes is not read through."""
    assert ("video/mp4", "mp4") == detect_media_type(
        b"\xff\xff\xff\xffftypiso9" + b"\0" * 64, "video"
    )
