"""A PNG of any size, whose type is detected as fast as that of a small one."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from benchmarks.accounting import MEBI

_HEADER = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)  # one pixel, 8 bits, RGB
_PIXEL = zlib.compress(b"\0\xff\xd7\0")


def write_png(path: Path, size: int) -> None:
    """Write a PNG of one pixel and ``size`` bytes; most are zeros, in a chunk that viewers skip."""
    start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", _HEADER) + _chunk(b"IDAT", _PIXEL)
    end = _chunk(b"IEND", b"")
    padding = size - len(start) - len(end) - 12
    with path.open("wb") as file:
        file.write(start + struct.pack(">I", padding) + b"muLe")
        file.truncate(file.tell() + padding)  # a sparse file: the zeros are not written
        file.seek(0, 2)
        file.write(struct.pack(">I", _crc_of_zeros(b"muLe", padding)) + end)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _crc_of_zeros(name: bytes, count: int) -> int:
    crc, zeros = zlib.crc32(name), bytes(MEBI)
    for _ in range(count // MEBI):
        crc = zlib.crc32(zeros, crc)
    return zlib.crc32(bytes(count % MEBI), crc)
