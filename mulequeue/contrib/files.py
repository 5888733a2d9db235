"""Serve stored files in any web framework: complete, or the part that a Range header requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, NamedTuple
from urllib.parse import urlsplit

from mulequeue.outcome import File
from mulequeue.settings import Settings
from mulequeue.transfer.storage import open_storage

FILE_HEADERS = {
    # Browsers show generated files but run no script in them.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cache-Control": "private, max-age=3600",
}
_BLOCK_BYTES = 64 * 1024


def suffix_of(file: File) -> str:
    """Return the suffix of a file's name, such as ``.png``."""
    return PurePosixPath(urlsplit(file.url).path).suffix


def open_file(file: File, settings: Settings) -> IO[bytes]:
    """Open a stored file for reading. The returned file is seekable; the caller closes it.

    :raises OSError: the storage no longer has the file.
    """
    storage = open_storage(file.url, settings)
    opened: IO[bytes] = storage.fs.open(storage.root, "rb")
    return opened


class FilePart(NamedTuple):
    """The response of a view: status 200, 206, or 416 for a range outside of the file."""

    status: int
    headers: dict[str, str]
    blocks: Iterator[bytes]


def file_part(file: File, settings: Settings, range_header: str) -> FilePart:
    """Return the response for a stored file, or for the part that a Range header requests.

    :param range_header: value of the header; empty: the complete file.
    :raises OSError: the storage no longer has the file.
    """
    part = _byte_range(range_header, file.bytes)
    if part is not None and not part:
        return FilePart(416, {"Content-Range": f"bytes */{file.bytes}"}, iter(()))
    wanted = range(file.bytes) if part is None else part
    headers = {
        **FILE_HEADERS,
        "Content-Type": file.media_type,
        "Content-Length": str(len(wanted)),
        "Accept-Ranges": "bytes",
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{file.bytes}"
    blocks = _blocks(open_file(file, settings), wanted)
    return FilePart(200 if part is None else 206, headers, blocks)


def _byte_range(header: str, size: int) -> range | None:
    """Return the byte range of the header ``Range: bytes=first-last``.

    The range is empty if it is outside of the file. None: the header is absent or has another form.
    """
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    return range(int(first), min(size, int(last) + 1 if last else size))


def _blocks(opened: IO[bytes], wanted: range) -> Iterator[bytes]:
    with opened:
        opened.seek(wanted.start)
        left = len(wanted)
        while left and (block := opened.read(min(left, _BLOCK_BYTES))):
            left -= len(block)
            yield block
