"""The media type is detected by the first bytes of a file."""

from __future__ import annotations

import random
import struct

import pytest

from mulequeue.errors import DownloadError
from mulequeue.transfer.content_type import detect_media_type

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
EBML = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82"
OGG = b"OggS\0\2" + b"\0" * 64


def iso(brand: bytes, compatible: bytes = b"iso2avc1mp41") -> bytes:
    return b"\0\0\0\x20ftyp" + brand + b"\0\0\2\0" + compatible.ljust(16) + b"\0" * 64


def frames(start: bytes) -> bytes:
    return (start + b"\x55" * 413) * 20


def pcm(*samples: int) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples) * 400


MP4 = iso(b"isom")


@pytest.mark.parametrize(
    ("head", "kind", "expected"),
    [
        (PNG, "image", ("image/png", "png")),
        (b"\xff\xd8\xff\xe0" + b"\0" * 64, "image", ("image/jpeg", "jpg")),
        (b"RIFF\x24\0\0\0WEBPVP8 " + b"\0" * 64, "image", ("image/webp", "webp")),
        (b"\0\0\1\0\1\0\x10\x10" + b"\0" * 64, "image", ("image/x-icon", "ico")),
        (iso(b"avif"), "image", ("image/avif", "avif")),
        (iso(b"avis"), "image", ("image/avif", "avif")),
        (iso(b"heix"), "image", ("image/heic", "heic")),
        (iso(b"mif1", b"mif1avif"), "image", ("image/avif", "avif")),
        (iso(b"mif1", b"mif1heic"), "image", ("image/heic", "heic")),
        (b"\xff\x0a" + b"\0" * 64, "image", ("image/jxl", "jxl")),
        (MP4, "video", ("video/mp4", "mp4")),
        (iso(b"iso6"), "video", ("video/mp4", "mp4")),
        (iso(b"dash"), "video", ("video/mp4", "mp4")),
        (iso(b"qt  "), "video", ("video/quicktime", "mov")),
        (EBML + b"\x84webm" + b"\0" * 64, "video", ("video/webm", "webm")),
        (EBML + b"\x88matroska" + b"\0" * 64, "video", ("video/x-matroska", "mkv")),
        (OGG, "video", ("video/ogg", "ogv")),
        ((b"\x47\x40\0\x10" + b"\0" * 184) * 9, "video", ("video/mp2t", "ts")),
        (PNG, "video", ("image/png", "png")),
    ],
)
def test_pictures_and_videos_are_known_by_their_bytes(head, kind, expected):
    """Type and extension depend on the content."""
    assert expected == detect_media_type(head, kind)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"ID3\x04" + b"\0" * 64, ("audio/mpeg", "mp3")),
        (frames(b"\xff\xfb\x90\xc4"), ("audio/mpeg", "mp3")),
        (frames(b"\xff\xfa\x90\xc4\x12\x34"), ("audio/mpeg", "mp3")),  # with a checksum
        (frames(b"\xff\xf3\x40\xc4"), ("audio/mpeg", "mp3")),  # MPEG 2
        (frames(b"\xff\xe3\x18\xc4"), ("audio/mpeg", "mp3")),  # MPEG 2.5, 8 kHz
        (b"\xff\xe3\x18\xc4" + b"\x55" * 68, ("audio/mpeg", "mp3")),  # a single frame
        (frames(b"\xff\xf1\x50\x80\x21\xbf\xfc"), ("audio/aac", "aac")),
        (frames(b"\xff\xf9\x50\x80\x21\xbf\xfc"), ("audio/aac", "aac")),
        (OGG, ("audio/ogg", "ogg")),
        (b"fLaC" + b"\0" * 64, ("audio/x-flac", "flac")),
        (b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 64, ("audio/x-wav", "wav")),
        (b"RF64\xff\xff\xff\xffWAVEds64" + b"\0" * 64, ("audio/x-wav", "wav")),
        (b"caff\0\x01\0\0desc" + b"\0" * 64, ("audio/x-caf", "caf")),
        (b".snd\0\0\0\x18" + b"\0" * 64, ("audio/basic", "au")),
        (iso(b"M4A "), ("audio/mp4", "m4a")),
        (MP4, ("audio/mp4", "m4a")),
        (EBML + b"\x84webm" + b"\0" * 64, ("audio/webm", "webm")),
        (pcm(0, 256, -1, 32767), ("audio/pcm", "pcm")),
        (pcm(0, 1, 0, 1, 2, 1, 0, -1), ("audio/pcm", "pcm")),  # begins like an icon
        (pcm(-1, *([0] * 40)), ("audio/pcm", "pcm")),  # begins like MPEG Layer I
        (pcm(-1025), ("audio/pcm", "pcm")),  # begins like MPEG Layer III
        (b"BM" + pcm(3, -3), ("audio/pcm", "pcm")),
        (PNG, ("image/png", "png")),
    ],
)
def test_sound_is_known_by_its_bytes_and_kind(head, expected):
    """A container of sound is sound, and raw audio is not taken for what begins alike."""
    assert expected == detect_media_type(head, "audio")


def test_soft_raw_audio_is_never_something_else():
    """Raw audio of any loudness is stored as raw audio."""
    chance = random.Random(1)
    for _ in range(2000):
        loud = 2 ** chance.randrange(1, 12)
        samples = [chance.randint(-loud, loud - 1) for _ in range(500)]
        assert ("audio/pcm", "pcm") == detect_media_type(pcm(*samples), "audio"), samples[:8]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"<!doctype html><title>Oops</title>", "video"),
        (b"<html><body><svg width='9'></svg>", "image"),
        (b'{"error": "expired"}', "audio"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "image"),
        (b"iVBORw0KGgoAAAANSUhEUg", "image"),
        ("ä".encode() * 5000, "audio"),
        (b"%PDF-1.7 " + b"\0" * 64, "image"),
        (b"PK\x03\x04" + b"\0" * 64, "audio"),
        (b"\x00\x01\xff\x7f" * 64, "image"),
        (b"\xff\xfb\x00\x01" * 64, "video"),
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
