"""What came of a request: the values, and what an answer to a create request means for the money.

Accepted     there is an id
NotSent      nothing left this machine: may be sent again
RetryLater   the API says later (429, 503 with Retry-After): may be sent again
Refused      the API says no: sending it again changes nothing
Unknown      it was sent and nobody knows: never to be sent again by itself
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mulequeue.api import parsing
from mulequeue.outcome import ErrorInfo, Kind

if TYPE_CHECKING:
    import aiohttp

MAX_ANSWER_BYTES = 1024**2
MAX_ERROR_BYTES = 64 * 1024
MAX_CHECK_PAUSE_SECONDS = 300.0
"""Status checks rest no longer, whatever ``Retry-After`` says: some asset URLs live for an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The generation exists under ``reply.remote_id``; it may even be over already."""

    reply: parsing.TaskReply
    trace_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Nothing left this machine: no connection came up, or it was too late to send."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLater:
    """The API wants it later: 429, or 503 with Retry-After."""

    retry_after_seconds: float | None
    error: ErrorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """It was sent, and no answer says whether the generation exists."""

    reason: str
    status_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The API (or the edge in front of it) says no, or the body cannot be written as JSON."""

    error: ErrorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFound:
    """404 on a status check."""

    error: ErrorInfo
    gone: bool
    """The API says that the id does not exist; else it may be the route, or not visible yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transient:
    """A status check that told nothing; it never fails a generation."""

    reason: str
    status_code: int | None
    retry_after_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCheck:
    """What the API thinks of a key."""

    works: bool | None
    """None: the API could not be asked."""
    reason: str


Submitted = Accepted | NotSent | RetryLater | Unknown | Refused
Fetched = parsing.TaskReply | NotFound | Transient


@dataclass(slots=True)
class Answer:
    """An HTTP answer as far as it was read."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False

    async def read(self, response: aiohttp.ClientResponse) -> None:
        self.status, self.headers = response.status, response.headers
        cap = MAX_ANSWER_BYTES if response.ok and response.status < 300 else MAX_ERROR_BYTES
        content = response.content
        while not content.at_eof():
            self.body += await content.readany()
            if len(self.body) > cap:
                response.close()
                return
        self.complete = True

    def text(self) -> bytes:
        """The body, decompressed, up to a cap."""
        cap = MAX_ANSWER_BYTES if self.complete else MAX_ERROR_BYTES
        return decompress(self.body, self.headers.get("Content-Encoding"), cap)

    def error(self) -> ErrorInfo:
        try:
            body = self.text()[:MAX_ERROR_BYTES]
        except parsing.WireError:
            body = b""
        return parsing.read_error(self.status or 0, self.headers, body)


def read_check(answer: Answer, kind: Kind | None) -> Fetched:
    """What an answer to a status check says."""
    status = answer.status or 0
    if not 200 <= status < 300:
        error = answer.error()
        if status == 404:
            return NotFound(error=error, gone=parsing.is_gone(status, error))
        later = parsing.retry_after_seconds(answer.headers.get("Retry-After"), time.time())
        if later is not None:
            later = min(later, MAX_CHECK_PAUSE_SECONDS)
        return transient(f"HTTP {status}: {error.detail or error.title}", status, later)
    if not answer.complete:
        return transient("the answer is larger than 1 MiB", status)
    try:
        return parsing.read_task(json.loads(answer.text()), kind=kind)
    except (ValueError, RecursionError) as exc:
        return transient(f"the answer is unreadable: {exc}", status)


def transient(
    reason: str, status_code: int | None = None, retry_after_seconds: float | None = None
) -> Transient:
    """The verdict on a status check that has to be made again."""
    return Transient(
        reason=reason, status_code=status_code, retry_after_seconds=retry_after_seconds
    )


def classify_create(answer: Answer, kind: Kind | None) -> Submitted:
    """What an answer to a create request means for the money."""
    status = answer.status or 0
    if 200 <= status < 300:
        return _classify_success(answer, kind)
    error = answer.error()
    asked = answer.headers.get("Retry-After")
    later = parsing.retry_after_seconds(asked, time.time())
    if status == 429 or (status == 503 and asked is not None):
        return RetryLater(retry_after_seconds=later, error=error)
    if 400 <= status < 500:
        return Refused(error=error)
    if 300 <= status < 400:
        return Refused(error=_with_redirect(answer, error))
    return Unknown(reason=f"HTTP {status}: {error.detail or error.title}", status_code=status)


def _classify_success(answer: Answer, kind: Kind | None) -> Submitted:
    if not answer.complete:
        return Unknown(reason="the answer is larger than 1 MiB", status_code=answer.status)
    try:
        reply = parsing.read_task(json.loads(answer.text()), kind=kind)
    except (ValueError, RecursionError) as exc:
        return Unknown(reason=f"the answer is unreadable: {exc}", status_code=answer.status)
    trace_id = answer.headers.get("Traceparent")
    if reply.remote_id:
        if reply.error is not None and reply.error.type == "NoAssets":
            # A create that is over at once need not name its files: a status check is asked first.
            reply = reply._replace(state="active", error=None)
        return Accepted(reply=reply, trace_id=trace_id)
    if reply.error is not None and reply.error.type == "GenerationFailed":
        return Refused(error=replace(reply.error, trace_id=trace_id, status_code=answer.status))
    return Unknown(reason="the answer holds no id", status_code=answer.status)


def _with_redirect(answer: Answer, error: ErrorInfo) -> ErrorInfo:
    host = urlsplit(answer.headers.get("Location", "")).hostname or "elsewhere on the same host"
    return replace(
        error,
        type="InvalidRequestError",
        title=f"The API redirects to {host}; a create request is never sent on",
        detail="Set mulequeue_base_url to the host and scheme that answer directly.",
    )


def decompress(body: bytes, encoding: str | None, cap: int) -> bytes:
    """A body without its Content-Encoding.

    :param cap: most bytes that come out; a small body can unpack to gigabytes.
    :raises mulequeue.api.parsing.WireError: larger than the cap, damaged, or an encoding never asked for.
    """
    encoding = (encoding or "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise parsing.WireError(f"Content-Encoding {encoding[:40]!r} was not asked for")
    try:
        text = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(body, cap + 1)
    except zlib.error as exc:
        raise parsing.WireError(f"damaged {encoding}: {exc}") from None
    if len(text) > cap:
        raise parsing.WireError(f"larger than {cap} bytes after unpacking")
    return text
