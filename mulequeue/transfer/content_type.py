"""What a file really is, by its first bytes: an HTML error page is not a video."""

from __future__ import annotations

import filetype

from mulequeue.errors import DownloadError
from mulequeue.outcome import Kind

HEAD_BYTES = 8192


def media_type_of(head: bytes, kind: Kind) -> tuple[str, str]:
    """Media type and extension (without a dot).

    :param head: the first bytes of the file, up to ``HEAD_BYTES`` of them.
    :param kind: what the generation is said to have made; only headerless audio needs it.
    :raises DownloadError: not an image, a video or audio; a page of an error may be gone tomorrow,
        so it may be tried again.
    """
    found = filetype.guess(head[:HEAD_BYTES])
    if found is not None and found.mime.startswith(("image/", "video/", "audio/")):
        return found.mime, found.extension
    if found is None and head[4:8] == b"ftyp":  # a brand that filetype does not list
        return "video/mp4", "mp4"
    if found is None and kind == "audio" and not _is_text(head):
        return "audio/pcm", "pcm"  # the API's format "pcm" has no header
    what = found.mime if found else ("text" if _is_text(head) else "unknown data")
    raise DownloadError(f"is {what}, not {kind}: {_start(head)}", retryable=True)


def _is_text(head: bytes) -> bool:
    head = head[:HEAD_BYTES]
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as exc:
        return exc.start >= len(head) - 3  # a character cut at the end
    return True


def _start(head: bytes) -> str:
    return repr(head[:60].decode("ascii", "replace"))
