"""One HTTP/1.1 answer out of the bytes of a connection, however they are cut. Pure.

httptools (llhttp, which Node.js reads with) takes it apart and is strict: what could be read in two
ways is an error, and the connection is not used again.
"""

from __future__ import annotations

from collections.abc import Mapping

import httptools
from multidict import CIMultiDict

MAX_HEAD_BYTES = 64 * 1024


class ResponseError(ValueError):
    """What came is no HTTP/1.1 answer that could be read."""


class ResponseParser:
    """One answer, fed piece by piece.

    :param most_bytes: of its body; what is more is not kept.
    """

    def __init__(self, most_bytes: int) -> None:
        self.status = 0
        self.body = b""
        """Of a body larger than ``most_bytes`` its beginning."""
        self.is_whole = False
        """The whole body is here."""
        self.keeps = False
        """The connection may be used for another request."""
        self.has_begun = False
        """Some bytes of it have come."""
        self.encoding: str | None = None
        """The Content-Encoding."""
        self._most = most_bytes
        self._head_bytes = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._coding: bytes | None = None
        self._has_length = self._ends_with_connection = False
        self._parser = httptools.HttpResponseParser(self)

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, whatever its case; repeated ones are joined."""
        found: CIMultiDict[str] = CIMultiDict()
        for raw, value in self._fields:
            name, text = raw.decode("latin-1"), value.decode("latin-1").strip(" \t")
            found[name] = f"{found[name]}, {text}" if name in found else text
        return found

    def feed(self, data: bytes) -> bool:
        """Take more bytes. Answers whether that is all of it, or all that is wanted.

        :raises ReplyError: it cannot be read.
        """
        self.has_begun = self.has_begun or bool(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            if not self.is_whole:
                is_upgrade = isinstance(exc, httptools.HttpParserUpgrade)
                raise ResponseError("another protocol" if is_upgrade else str(exc)) from None
            self.keeps = False
        if self._coding not in (None, b"chunked"):
            raise ResponseError(f"its transfer-encoding is {self._coding!r}")
        if not self.status:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                raise ResponseError("its head does not end")
        if len(self.body) > self._most:
            self.body, self.is_whole, self.keeps = self.body[: self._most], False, False
        elif not self.is_whole:
            return False
        del self._parser  # it points back: only the garbage collector would free the two
        return True

    def end(self) -> bool:
        """The other side closed the connection. Answers whether the answer is whole."""
        self.is_whole = self.is_whole or self._ends_with_connection
        return self.is_whole

    # -- what the parser calls -----------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.is_whole:  # bytes behind the answer belong to nothing that was asked
            self.keeps = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_whole or self.status:  # of a trailer, or of what follows
            return
        self._fields.append((name, value))
        match name.lower():
            case b"content-length":
                self._has_length = True
            case b"content-encoding":
                self.encoding = value.decode("latin-1").strip()
            case b"transfer-encoding":
                self._coding = value.strip().lower()

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # an interim answer; the real one follows
            self._fields.clear()
            self._has_length, self._coding, self.encoding = False, None, None
        elif not self.is_whole:
            self.status = status
            self.keeps = self._parser.should_keep_alive()
            is_framed = self._has_length or self._coding or status in (204, 304)
            self._ends_with_connection = not is_framed

    def on_body(self, data: bytes) -> None:
        if not self.is_whole and len(self.body) <= self._most:
            self.body = self.body + data if self.body else data

    def on_message_complete(self) -> None:
        self.is_whole = bool(self.status)
