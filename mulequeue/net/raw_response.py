"""An HTTP response as it arrives: the body is not decoded and may be incomplete."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multidict import CIMultiDict

MAX_HEAD_BYTES = 64 * 1024
"""Limit of a response's status line and headers."""
_ENCODINGS = ("gzip", "x-gzip", "deflate")


class ResponseError(ValueError):
    """The bytes received are not a readable HTTP response."""


@dataclass(eq=False, slots=True)
class RawResponse:
    """The part of a response that was received."""

    status: int = 0
    """0 until the status line is received."""
    raw_headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""
    """Still encoded. Of a body larger than the limit, the beginning."""
    is_complete: bool = False
    """The whole body was received."""
    encoding: str | None = None
    """The ``Content-Encoding`` header."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers by name, in any case; repeated ones are joined."""
        joined: CIMultiDict[str] = CIMultiDict()
        for raw, value in self.raw_headers:
            name, text = raw.decode("latin-1"), value.decode("latin-1").strip(" \t")
            joined[name] = f"{joined[name]}, {text}" if name in joined else text
        return joined

    def decode(self, max_bytes: int) -> bytes:
        """Return the body without its Content-Encoding.

        :param max_bytes: the largest result; a small body can expand to gigabytes.
        :raises ResponseError: the result is larger, the body is malformed, or the encoding unknown.
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
            raise ResponseError(f"larger than {max_bytes} bytes after decompression")
        return data
