"""Reads one HTTP/1.1 answer out of the bytes of a connection, however they are cut. Pure.

As little as a status check needs, and strict: whatever is ambiguous is an error, and the connection
is not used again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from multidict import CIMultiDict

MAX_HEAD_BYTES = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n]*)?")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")


class ReplyError(ValueError):
    """What came is no HTTP/1.1 answer that could be read."""


class Reply:
    """One answer, fed piece by piece."""

    def __init__(self, most_bytes: int) -> None:
        self.status = 0
        self.body = b""
        """Of a body larger than ``most_bytes`` its beginning."""
        self.is_whole = False
        """The whole body is here."""
        self.keeps = False
        """The connection may be used for another request."""
        self._most = most_bytes
        self._fields: dict[bytes, bytes] = {}
        self._data = b""
        self._length: int | None = None
        self._is_chunked = False

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, whatever its case."""
        pairs = [(name.decode("latin-1"), text) for name, text in self._fields.items()]
        return CIMultiDict((name, text.decode("latin-1")) for name, text in pairs)

    @property
    def encoding(self) -> str | None:
        """The Content-Encoding."""
        found = self._fields.get(b"content-encoding")
        return None if found is None else found.decode("latin-1")

    def feed(self, data: bytes) -> bool:
        """Take more bytes. Answers whether that is all of it, or all that is wanted.

        :raises ReplyError: it cannot be read.
        """
        self._data = self._data + data if self._data else data
        while not self.status:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                if len(self._data) > MAX_HEAD_BYTES:
                    raise ReplyError("its head does not end")
                return False
            self._read_head(self._data[:end])
            self._data = self._data[end + 4 :]
        return self._feed_chunks() if self._is_chunked else self._feed_body()

    def end(self) -> bool:
        """The other side closed the connection. Answers whether the answer is whole."""
        if self.status and self._length is None and not self._is_chunked:
            self.body, self.is_whole = self._data, True
        return self.is_whole

    @property
    def has_begun(self) -> bool:
        """Some bytes of it have come."""
        return bool(self.status or self._data)

    def _read_head(self, head: bytes) -> None:
        line, *rows = head.split(b"\r\n")
        found = _STATUS.fullmatch(line)
        if found is None:
            raise ReplyError(f"its first line is {line[:60]!r}")
        status = int(found[2])
        if status < 200:  # an interim answer; the real one follows
            if status == 101:
                raise ReplyError("it changes the protocol")
            return
        fields = self._fields
        for row in rows:
            name, colon, value = row.partition(b":")
            name = name.lower()
            if not colon or not name or name[-1:].isspace() or name[:1].isspace():
                raise ReplyError(f"a header is {row[:60]!r}")
            value = value.strip(b" \t")
            if name in fields:
                if name == b"content-length" and fields[name] != value:
                    raise ReplyError("it has two lengths")
                value = fields[name] + b", " + value if name != b"content-length" else value
            fields[name] = value
        self.status = status
        self._read_framing(found[1] == b"1")

    def _read_framing(self, is_new: bool) -> None:
        fields = self._fields
        self.keeps = is_new and b"close" not in fields.get(b"connection", b"").lower()
        coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
        if self.status in (204, 304):
            self._length = 0
        elif coding is not None:
            if coding.lower() != b"chunked" or length is not None:
                raise ReplyError(f"its transfer-encoding is {coding[:60]!r}")
            self._is_chunked = True
        elif length is not None:
            if not length.isdigit():
                raise ReplyError(f"its length is {length[:60]!r}")
            self._length = int(length)
        else:
            self.keeps = False  # it ends with the connection

    def _feed_body(self) -> bool:
        have, length = len(self._data), self._length
        if have > self._most or (length is not None and have >= length):
            self.body = self._data[: self._most if length is None else min(length, self._most)]
            self.is_whole = length is not None and length <= self._most
            self.keeps = self.keeps and self.is_whole and have == length
            return True
        return False

    def _feed_chunks(self) -> bool:
        while (end := self._data.find(b"\r\n")) >= 0:
            found = _SIZE.fullmatch(self._data[:end])
            if found is None:
                raise ReplyError(f"a chunk's size is {self._data[:end][:60]!r}")
            size = int(found[1], 16)
            if size == 0:
                return self._feed_trailer(end)
            if len(self.body) + size > self._most:
                self.body = (self.body + self._data[end + 2 :])[: self._most]
                self.keeps = False
                return True
            stop = end + 2 + size
            if len(self._data) < stop + 2:
                return False
            if self._data[stop : stop + 2] != b"\r\n":
                raise ReplyError("a chunk is longer than its size")
            self.body += self._data[end + 2 : stop]
            self._data = self._data[stop + 2 :]
        if len(self._data) > 1024:
            raise ReplyError("a chunk's size does not end")
        return False

    def _feed_trailer(self, end: int) -> bool:
        rest = self._data[end:]
        stop = rest.find(b"\r\n\r\n")
        if stop < 0:
            if len(rest) > MAX_HEAD_BYTES:
                raise ReplyError("its trailer does not end")
            return False
        self.is_whole = True
        self.keeps = self.keeps and len(rest) == stop + 4
        return True
