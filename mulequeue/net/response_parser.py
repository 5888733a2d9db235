"""Parse one HTTP/1.1 response from the bytes of a connection, in pieces of any size. No I/O.

The parser is httptools (llhttp, as in Node.js). It is strict: an ambiguous response is an error, and its
connection is not used again.
"""

from __future__ import annotations

import httptools

from mulequeue.net.raw_response import MAX_HEAD_BYTES, RawResponse, ResponseError


class ResponseParser:
    """A parser for one response. Bytes of the body beyond ``max_bytes`` are discarded."""

    def __init__(self, max_bytes: int) -> None:
        self.response = RawResponse(body=bytearray())
        self.is_reusable = False
        """The connection may carry another request."""
        self.has_begun = False
        """At least one byte of the response was received."""
        self._max_bytes = max_bytes
        self._head_bytes = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._transfer_encoding: bytes | None = None
        self._has_length = self._ends_with_connection = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> bool:
        """Parse more bytes; return True once the response is complete or its body exceeds the limit.

        :raises ResponseError: the bytes are not a valid response, or the head exceeds its limit.
        """
        self.has_begun = self.has_begun or bool(data)
        response = self.response
        if not response.status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            if not response.is_complete:
                is_upgrade = isinstance(exc, httptools.HttpParserUpgrade)
                raise ResponseError("another protocol" if is_upgrade else str(exc)) from None
            self.is_reusable = False
        if self._transfer_encoding not in (None, b"chunked"):
            raise ResponseError(f"unsupported Transfer-Encoding {self._transfer_encoding!r}")
        if self._head_bytes > MAX_HEAD_BYTES and self._is_head_too_large():
            raise ResponseError(f"its headers exceed {MAX_HEAD_BYTES} bytes")
        if len(response.body) > self._max_bytes:
            response.body = response.body[: self._max_bytes]
            response.is_complete = self.is_reusable = False
        elif not response.is_complete:
            return False
        del self._parser  # break the reference cycle, so that the garbage collector has no work
        return True

    def _is_head_too_large(self) -> bool:
        """Return whether the head alone exceeds the limit; ``_head_bytes`` may include part of the body."""
        if not self.response.status:
            return True
        return sum(len(name) + len(value) for name, value in self._headers) > MAX_HEAD_BYTES

    def end(self) -> bool:
        """Handle the end of the connection; return whether the response is complete."""
        response = self.response
        response.is_complete = response.is_complete or self._ends_with_connection
        return response.is_complete

    # -- httptools callbacks -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.response.is_complete:  # no request waits for bytes after the response
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.response.is_complete or self.response.status:  # a trailer, or a second message
            return
        self._headers.append((name, value))
        match name.lower():
            case b"content-length":
                self._has_length = True
            case b"content-encoding":
                self.response.encoding = value.decode("latin-1").strip()
            case b"transfer-encoding":
                self._transfer_encoding = value.strip().lower()

    def on_headers_complete(self) -> None:
        response = self.response
        status = self._parser.get_status_code()
        if status < 200:  # an interim response; the final one follows
            self._headers.clear()
            self._has_length, self._transfer_encoding, response.encoding = False, None, None
        elif not response.is_complete:
            response.status, response.raw_headers = status, self._headers
            self.is_reusable = self._parser.should_keep_alive()
            is_framed = self._has_length or self._transfer_encoding or status in (204, 304)
            self._ends_with_connection = not is_framed

    def on_body(self, data: bytes) -> None:
        response = self.response
        if not response.is_complete and len(response.body) <= self._max_bytes:
            response.body += data

    def on_message_complete(self) -> None:
        self.response.is_complete = bool(self.response.status)
