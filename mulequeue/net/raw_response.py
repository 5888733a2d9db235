"""An HTTP response as it arrives: the body is not decoded and may be incomplete."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from multidict import CIMultiDict

MAX_HEAD_BYTES = 64 * 1024
"""Limit of a response's status line and headers."""
_ENCODINGS = ("gzip", "x-gzip", "deflate")


class ResponseError(ValueError):
    """The bytes received are not a readable HTTP response."""


class BodyTooLarge(ResponseError):
    """The body is larger than the limit, as received or after decompression."""


@dataclass(eq=False, slots=True)
class RawResponse:
    """The part of a response that was received."""

    status: int = 0
    """0 until the status line is received."""
    raw_headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes | bytearray = b""
    """The body with its Content-Encoding; only the beginning if the body is larger than the limit."""
    is_complete: bool = False
    """The whole body was received."""
    encoding: str | None = None
    """The ``Content-Encoding`` header."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers by case-insensitive name. The values of a repeated header are joined with commas."""
        joined: CIMultiDict[str] = CIMultiDict()
        for raw, value in self.raw_headers:
            name, text = raw.decode("latin-1"), value.decode("latin-1").strip(" \t")
            joined[name] = f"{joined[name]}, {text}" if name in joined else text
        return joined

    def decode(self, max_bytes: int) -> bytes | bytearray:
        """Return the decompressed body, or the body itself if it has no Content-Encoding.

        :param max_bytes: limit of the decompressed size, because a small body can expand to gigabytes.
        :raises BodyTooLarge: the decompressed body exceeds the limit.
        :raises ResponseError: the body is malformed, or its encoding is unknown.
        """
        if self.encoding is None:
            return self.body
        encoding = self.encoding.strip().lower()
        if encoding in ("", "identity"):
            return self.body
        if encoding not in _ENCODINGS:
            raise ResponseError(f"Content-Encoding {encoding[:40]!r} was not asked for")
        try:
            decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
            data = decompressor.decompress(self.body, max_bytes + 1)
        except zlib.error as exc:
            raise ResponseError(f"malformed {encoding}: {exc}") from None
        if len(data) > max_bytes:
            raise BodyTooLarge(f"larger than {max_bytes} bytes after decompression")
        return data

    def readings(self, max_bytes: int) -> Iterator[bytes]:
        """Yield the body as received, then decompressed in each way that is possible.

        The body may be cut or have a wrong Content-Encoding.

        :param max_bytes: length to which each decompressed result is cut.
        """
        body = bytes(self.body)
        yield body
        if self.encoding is not None or body.startswith(b"\x1f\x8b"):
            for wbits in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):  # gzip or zlib; raw deflate
                yield _inflate_prefix(body, wbits, max_bytes)


def _inflate_prefix(data: bytes, wbits: int, max_bytes: int) -> bytes:
    """Return the decompressed beginning of ``data``, up to the first error and at most ``max_bytes``."""
    decompressor, size, result = zlib.decompressobj(wbits), 1024, b""
    start = 0
    while start < len(data) and len(result) < max_bytes:
        saved = decompressor.copy()
        try:
            result += decompressor.decompress(data[start : start + size], max_bytes - len(result))
            start += size
        except zlib.error:
            # zlib drops the output of the call that fails: repeat it byte by byte, then stop.
            if size == 1:
                break
            decompressor, size = saved, 1
    return result


_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? +(\d{3})\b")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_HEAD = re.compile(rb"\s*([0-9a-fA-F]{1,8})[^\r\n]*\r?\n")


def read_leniently(data: bytes) -> RawResponse:
    """Read a response that is cut or violates HTTP. The status is 0 if there is no status line.

    A declared length is ignored: everything after the headers is the body.
    """
    while True:
        end = _HEAD_END.search(data)
        head, rest = (data[: end.start()], data[end.end() :]) if end else (data, b"")
        line, *rows = head.splitlines() or [b""]
        found = _STATUS_LINE.match(line)
        if found is None:
            return RawResponse()
        status = int(found[1])
        if status >= 200 or end is None:
            break
        data = rest  # an interim response; the final one follows
    pairs = (row.partition(b":")[::2] for row in rows)
    response = RawResponse(
        status=status, raw_headers=[(name.strip(), value.strip()) for name, value in pairs]
    )
    headers = response.headers
    is_chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
    response.body = _join_chunks(rest) if is_chunked else rest
    response.encoding = headers.get("Content-Encoding")
    return response


def _join_chunks(data: bytes) -> bytes:
    """Return the content of the chunks, also if the last one is cut; ``data`` itself if it has no chunks."""
    parts, start = [], 0
    while (found := _CHUNK_HEAD.match(data, start)) is not None and int(found[1], 16):
        end = found.end() + int(found[1], 16)
        parts.append(data[found.end() : end])
        start = end
    return b"".join(parts) or data
