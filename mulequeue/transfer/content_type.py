"""Detect the media type of a file by its first bytes: an HTML error page is not a video."""

from __future__ import annotations

import filetype

from mulequeue.errors import DownloadError
from mulequeue.outcome import Kind

HEAD_BYTES = 8192


def detect_media_type(head: bytes, kind: Kind) -> tuple[str, str]:
    """Return the media type and the extension (without a dot).

    :param head: the first bytes of the file; up to ``HEAD_BYTES`` of them are used.
    :param kind: the kind of the asset by the API's response; decides for audio without a header.
    :raises DownloadError: not an image, a video or audio. Retryable, because an error page may be
        temporary.
    """
    found = filetype.guess(head[:HEAD_BYTES])
    if found is not None and found.mime.startswith(("image/", "video/", "audio/")):
        return found.mime, found.extension
    if found is None and head[4:8] == b"ftyp":  # a brand that filetype does not know
        return "video/mp4", "mp4"
    if found is None and kind == "audio" and not _is_text(head):
        return "audio/pcm", "pcm"  # the API's format "pcm" has no header
    actual = found.mime if found else ("text" if _is_text(head) else "unknown data")
    raise DownloadError(f"is {actual}, not {kind}: {_quote_start(head)}", retryable=True)


def _is_text(head: bytes) -> bool:
    head = head[:HEAD_BYTES]
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as exc:
        return exc.start >= len(head) - 3  # an incomplete character at the end
    return True


def _quote_start(head: bytes) -> str:
    return repr(head[:60].decode("ascii", "replace"))
