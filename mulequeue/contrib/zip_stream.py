"""Make one zip archive of the stored files of generations while the archive is sent.

``zip_response`` of ``mulequeue.contrib.django.responses``, ``.flask`` and ``.fastapi`` returns a response with it.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple
from urllib.parse import quote

from mulequeue.contrib.files import suffix_of
from mulequeue.outcome import File
from mulequeue.transfer.path_template import path_part

_BLOCK_BYTES = 256 * 1024
_GONE = "its file is no longer in the storage"


class Entry(NamedTuple):
    """A file of an archive, or a generation that has no file."""

    name: str
    file: File | None = None
    missing: str = ""
    """Why the generation has no file."""
    at: float | None = None
    """The modification time of the file in the archive, unix seconds; None: now."""


def zip_blocks(entries: Iterable[Entry], open_file: Callable[[File], IO[bytes]]) -> Iterator[bytes]:
    """Yield the blocks of the archive while it is made. Memory holds one block of one file at a time.

    If files are missing, ``missing.txt`` in the archive lists them with the reasons.

    :param entries: for a batch ``mulequeue.contrib.zip_entries.batch_entries(ledger, batch_id)``.
    :param open_file: opens a stored file for reading, or raises OSError if the storage no longer has the file.
    :raises OSError: reading a file failed after its first block, so the archive is incomplete.
    """
    sink, lines, names = _Sink(), [], set[str]()
    # Deflated at level 0: programs that read a stream reject entries that are "stored" and have no size.
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            blocks = None if entry.file is None else _blocks(entry.file, open_file)
            if blocks is None:
                lines.append(f"{entry.name}: {entry.missing or _GONE}\n")
                continue
            with archive.open(_info(entry, names), "w") as target:
                for block in blocks:
                    target.write(block)
                    yield from sink.take()
        if lines:
            archive.writestr("missing.txt", "".join(lines))
    yield from sink.take()


def file_entries(files: Sequence[File], name: str, *, at: float | None = None) -> Iterator[Entry]:
    """Yield the entries of one generation's files under a name, with a number added if there are several.

    :param at: modification time of the files, unix seconds; None: now.
    """
    for number, file in enumerate(files, 1):
        more = f" {number}" if len(files) > 1 else ""
        yield Entry(f"{path_part(_readable(name) + more)}{suffix_of(file)}", file, at=at)


def zip_headers(name: str) -> dict[str, str]:
    """Return the response headers for an archive with this file name."""
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }


def _readable(text: str) -> str:
    """Replace characters that file systems may reject by spaces, and cut the text to 80 bytes."""
    kept = "".join(c if c.isalnum() or c in "._-" else " " for c in text)
    return " ".join(kept.split()).encode()[:80].decode(errors="ignore").strip()


def _blocks(file: File, open_file: Callable[[File], IO[bytes]]) -> Iterator[bytes] | None:
    """Return the blocks of a file, or None if the storage no longer has it."""
    try:
        opened = open_file(file)
        first = opened.read(_BLOCK_BYTES)  # some storages open the file only now
    except OSError:
        return None

    def read() -> Iterator[bytes]:
        with opened:
            yield first
            while block := opened.read(_BLOCK_BYTES):
                yield block

    return read()


def _info(entry: Entry, names: set[str]) -> zipfile.ZipInfo:
    """Return the header of an entry, under a name that the archive does not contain yet."""
    path, number = PurePosixPath(entry.name), 1
    while (name := f"{path.stem} ({number}){path.suffix}" if number > 1 else entry.name) in names:
        number += 1
    names.add(name)
    info = zipfile.ZipInfo(name, time.localtime(entry.at)[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    info._compresslevel = 0  # type: ignore[attr-defined]  # it has a public name from Python 3.13 on
    info.external_attr = 0o644 << 16
    info.file_size = entry.file.bytes if entry.file else 0  # above 2 GiB the entry needs ZIP64
    return info


class _Sink(io.RawIOBase):
    """A file without seek that collects the bytes that the archive writes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> Iterator[bytes]:
        """Yield the bytes that were written since the last call, as one block."""
        parts, self._parts = self._parts, []
        if parts:
            yield b"".join(parts)
