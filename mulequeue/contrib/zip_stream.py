"""The stored files of generations as one zip archive, which is made while it is sent.

``zip_response`` of ``mulequeue.contrib.django.responses``, ``.flask`` and ``.fastapi`` is a response with it.
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
    """A file of an archive, or a generation that has none."""

    name: str
    file: File | None = None
    missing: str = ""
    """Why it has no file."""
    at: float | None = None
    """The time of the file in the archive, unix seconds; None: now."""


def zip_blocks(entries: Iterable[Entry], open_file: Callable[[File], IO[bytes]]) -> Iterator[bytes]:
    """Yield the blocks of the archive while it is made. Memory holds one block of one file at a time.

    What is missing is listed in ``missing.txt`` of the archive, which exists only then.

    :param entries: for a batch ``mulequeue.contrib.zip_entries.batch_entries(ledger, batch_id)``.
    :param open_file: opens a stored file for reading, or raises OSError if it is gone.
    :raises OSError: a file broke off while it was read, so the archive is incomplete.
    """
    sink, lines, names = _Sink(), [], set[str]()
    # Not compressed, but deflated: programs that read a stream reject stored entries without a size.
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
    """Yield the files of one generation under this name, with a number if there are several.

    :param at: unix seconds.
    """
    for number, file in enumerate(files, 1):
        more = f" {number}" if len(files) > 1 else ""
        yield Entry(f"{path_part(_readable(name) + more)}{suffix_of(file)}", file, at=at)


def zip_headers(name: str) -> dict[str, str]:
    """Return the response headers of an archive with this file name."""
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }


def _readable(text: str) -> str:
    """Return text with a space instead of what file systems reject, at most 80 bytes of it."""
    kept = "".join(c if c.isalnum() or c in "._-" else " " for c in text)
    return " ".join(kept.split()).encode()[:80].decode(errors="ignore").strip()


def _blocks(file: File, open_file: Callable[[File], IO[bytes]]) -> Iterator[bytes] | None:
    """Return the blocks of a file, or None if the storage no longer has it."""
    try:
        opened = open_file(file)
        first = opened.read(_BLOCK_BYTES)  # some storages look for the file only now
    except OSError:
        return None

    def read() -> Iterator[bytes]:
        with opened:
            yield first
            while block := opened.read(_BLOCK_BYTES):
                yield block

    return read()


def _info(entry: Entry, names: set[str]) -> zipfile.ZipInfo:
    """Return the head of an entry, under a name that the archive does not have yet."""
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
    """Collects what the archive writes. It cannot seek."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> Iterator[bytes]:
        """Yield what was written since the last call, in one block."""
        parts, self._parts = self._parts, []
        if parts:
            yield b"".join(parts)
