"""Detect the media type of a file by its first bytes: an HTML error page is not a video.

The kind that the API declared decides where the bytes alone do not: raw PCM has no header and may begin with a
short signature by chance, and containers such as MP4 hold pictures, video or sound.
"""

from __future__ import annotations

import filetype

from mulequeue.errors import AssetGone
from mulequeue.outcome import Kind

HEAD_BYTES = 8192

_AVIF, _HEIC = ("image/avif", "avif"), ("image/heic", "heic")
# Major brands of ISO media files; all others are video, or sound if the API declared sound.
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), _AVIF),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), _HEIC),
    **dict.fromkeys((b"mif1", b"msf1"), ("image/heif", "heif")),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), ("audio/mp4", "m4a")),
    b"qt  ": ("video/quicktime", "mov"),
}
# Unknown to filetype.
_SIGNATURES = (
    (b"\0\0\0\x0cJXL ", ("image/jxl", "jxl")),
    (b"RF64", ("audio/x-wav", "wav")),
    (b"caff", ("audio/x-caf", "caf")),
    (b".snd", ("audio/basic", "au")),
)
_AS_AUDIO = {
    "video/webm": ("audio/webm", "webm"),
    "video/x-matroska": ("audio/x-matroska", "mka"),
}
# These signatures are so long that raw audio never begins with them by chance.
_CERTAIN = frozenset({"image/png", "image/apng", "image/gif", "image/webp"})
# For these types filetype compares only two bytes.
_FRAMED = frozenset({"audio/mpeg", "audio/aac"})
_MIN_FRAME_BYTES = 24
_PACKET_BYTES = 188


def detect_media_type(head: bytes, kind: Kind) -> tuple[str, str]:
    """Return the media type and the extension (without a dot).

    :param head: the first bytes of the file; up to ``HEAD_BYTES`` of them are used.
    :param kind: the kind of the asset by the API's response.
    :raises AssetGone: the file is no image, video or audio. Retryable, because an error page may be temporary.
    """
    head = head[:HEAD_BYTES]
    found = _identify(head, kind)
    if found is not None:
        return found
    known, is_text = filetype.guess(head), _is_text(head)
    is_document = is_text or (known is not None and known.mime.startswith("application/"))
    if kind == "audio" and not is_document:
        return "audio/pcm", "pcm"  # the API's format "pcm" has no header
    what = known.mime if known else ("text" if is_text else "unknown data")
    raise AssetGone(f"is {what}, not {kind}: {head[:60].decode('ascii', 'replace')!r}")


def _identify(head: bytes, kind: Kind) -> tuple[str, str] | None:
    if head[4:8] == b"ftyp":
        return _by_brand(head, kind)
    if _has_audio_frames(head):
        return ("audio/aac", "aac") if head[1] & 0x06 == 0 else ("audio/mpeg", "mp3")
    for signature, media in _SIGNATURES:
        if head.startswith(signature):
            return media
    if kind == "image" and head.startswith(b"\xff\x0a"):
        return "image/jxl", "jxl"
    if kind == "video" and len(head) > _PACKET_BYTES and set(head[::_PACKET_BYTES]) == {0x47}:
        return "video/mp2t", "ts"
    return _by_signature(head, kind)


def _by_brand(head: bytes, kind: Kind) -> tuple[str, str]:
    """Return the type of an ISO media file (MP4, MOV, M4A, AVIF, HEIC)."""
    size = int.from_bytes(head[:4], "big")
    compatible = head[16 : min(size, 128)]
    media = _BRANDS.get(head[8:12])
    if media == ("image/heif", "heif"):
        return _AVIF if b"avif" in compatible else _HEIC if b"hei" in compatible else media
    return media or (("audio/mp4", "m4a") if kind == "audio" else ("video/mp4", "mp4"))


def _by_signature(head: bytes, kind: Kind) -> tuple[str, str] | None:
    found = filetype.guess(head)
    if found is None or (found.mime in _FRAMED and not head.startswith(b"ID3")):
        return None
    family = found.mime.partition("/")[0]
    if family == "audio":
        is_video = kind == "video" and found.mime == "audio/ogg"
        return ("video/ogg", "ogv") if is_video else (found.mime, found.extension)
    if kind == "audio":
        as_audio = _AS_AUDIO.get(found.mime)
        return as_audio or ((found.mime, found.extension) if found.mime in _CERTAIN else None)
    return (found.mime, found.extension) if family in ("image", "video") else None


def _has_audio_frames(head: bytes) -> bool:
    """Return whether the bytes are frames of MPEG audio or ADTS, which all begin with the same two bytes."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    if head[1] & 0xF6 == 0xF0:  # ADTS
        is_valid = head[2] >> 2 & 0x0F < 13  # sampling rate
    else:  # version, layer, bit rate and sampling rate: two soft samples of raw audio look like Layer I
        is_valid = head[1] & 0x18 != 0x08 and head[1] & 0x06 in (0x02, 0x04)
        is_valid = is_valid and 0 < head[2] >> 4 < 15 and head[2] & 0x0C != 0x0C
    second = head.find(head[:2], 2)
    if second < 0:
        return is_valid and len(head) < 2048  # a single frame is shorter than that
    return is_valid and second >= _MIN_FRAME_BYTES


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as exc:
        return exc.start >= len(head) - 3  # an incomplete character at the end
    return True
