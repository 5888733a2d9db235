"""Classify the responses of the API: each result decides whether a request may be repeated.

A create request ends as one of:

Accepted     the generation exists
NotSent      the request did not leave this machine: may be sent again
RetryLater   the API is busy (429, or 503 with Retry-After), or the key or the balance has to be fixed
             (401, 402): may be sent again
Refused      the API rejected it: sending it again would change nothing
Unknown      the generation may exist and be billed: must not be sent again automatically
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from json import JSONDecodeError
from urllib.parse import urlsplit

from mulequeue.api.parsing.http_error import (
    is_gone,
    page_text,
    read_error,
    retry_after_seconds,
)
from mulequeue.api.parsing.json_body import find_task, read_json
from mulequeue.api.parsing.task_reply import TaskReply, read_task
from mulequeue.errors import ConfigurationError
from mulequeue.net.connection import NotConnected
from mulequeue.net.raw_response import BodyTooLarge, RawResponse, ResponseError
from mulequeue.outcome import ErrorInfo, Kind

MAX_RESPONSE_BYTES = 1024**2
MAX_INLINE_BYTES = 32 * 1024**2
"""Limit of a status check's response that contains the asset itself. Speech arrives as hex digits unless
URLs are asked for: 10,000 characters, the longest prompt that the API documents, are 11 minutes or 21 MB."""
MAX_ERROR_BYTES = 64 * 1024
MAX_CHECK_PAUSE_SECONDS = 300.0
"""Longest pause of status checks, also if ``Retry-After`` is longer: some asset URLs expire after an hour."""

FROM_THE_NETWORK = (407, 511)
"""A proxy, or the network's login page, answers in place of the API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The generation exists under ``reply.remote_id``; it may already be final."""

    reply: TaskReply
    trace_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Nothing was sent: the connection failed, or it was too late to send."""

    reason: str
    is_too_late: bool = False
    """There was a connection, but the request must no longer be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLater:
    """The API accepts the request only later: 429, 503 with Retry-After, 401 or 402."""

    retry_after_seconds: float | None
    error: ErrorInfo

    @property
    def needs_fix(self) -> bool:
        """Return whether waiting alone does not help: the key or the balance has to be fixed."""
        return self.error.type != "RateLimited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The request was sent, and no response shows whether the generation exists."""

    reason: str
    status_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The API (or the edge in front of it) rejected it, or the body cannot be written as JSON."""

    error: ErrorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFound:
    """404 on a status check."""

    error: ErrorInfo
    is_gone: bool
    """The API reports that the id does not exist; otherwise the route may not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transient:
    """A status check without a result; it never causes a generation to fail."""

    reason: str
    status_code: int | None = None
    retry_after_seconds: float | None = None
    is_local: bool = False
    """This host alone may be the cause: see :func:`is_local_fault`. The same is true of a response of a
    proxy, of a network's login page, or of the edge in front of the API."""
    is_too_large: bool = False
    """The API's answer exceeds every limit, so asking again does not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCheck:
    """The result of a check of an API key."""

    works: bool | None
    """None: the check was inconclusive."""
    reason: str


Submitted = Accepted | NotSent | RetryLater | Unknown | Refused
Fetched = TaskReply | NotFound | Transient


def read_check(
    response: RawResponse, kind: Kind | None, max_bytes: int = MAX_RESPONSE_BYTES
) -> Fetched:
    """Read the response to a status check."""
    status = response.status
    if not 200 <= status < 300:
        error = _error(response)
        if status == 404:
            return NotFound(error=error, is_gone=is_gone(status, error))
        pause = retry_after_seconds(response.headers.get("Retry-After"), time.time())
        return Transient(
            reason=f"HTTP {status}: {error.detail or error.title}",
            status_code=status,
            retry_after_seconds=None if pause is None else min(pause, MAX_CHECK_PAUSE_SECONDS),
            is_local=status in FROM_THE_NETWORK or error.type == "EdgeBlocked",
        )
    body: bytes | bytearray = b""
    try:
        if not response.is_complete:
            raise BodyTooLarge
        body = response.decode(max_bytes)
        return read_task(read_json(body), kind=kind)
    except JSONDecodeError:
        reason = f"the response is not JSON: {page_text(body) or 'it is empty'}"
        return Transient(reason=reason, status_code=status)
    except BodyTooLarge:
        reason = f"the response is larger than {max_bytes // 1024**2} MiB"
        return Transient(reason=reason, status_code=status, is_too_large=True)
    except (ValueError, RecursionError) as exc:
        return Transient(reason=f"the response is not readable: {exc}", status_code=status)


def is_local_fault(exc: Exception) -> bool:
    """Return whether this host may be the cause, so that another one may reach the API.

    There was no connection (DNS, route, proxy, certificate), or the key or CA bundle is unusable.
    An API that is down has the same effect: it is this host's fault only if others are answered.
    """
    return isinstance(exc, (NotConnected, ConfigurationError))


def classify_create(response: RawResponse, kind: Kind | None) -> Submitted:
    """Classify the response to a create request. An id in it is never dropped."""
    status = response.status
    reply = _find_reply(response, kind)
    if reply is not None and not (reply.state == "failed" and 400 <= status < 500):
        if reply.error is not None and reply.error.type == "NoAssets":
            # A create response may be final and name no files yet: a status check follows.
            reply = reply._replace(state="active", error=None)
        return Accepted(reply=reply, trace_id=response.headers.get("Traceparent"))
    if 200 <= status < 300:
        return _classify_success(response, kind)
    error = _error(response)
    retry_after = response.headers.get("Retry-After")
    if status in (401, 402, 429) or (status == 503 and retry_after is not None):
        seconds = retry_after_seconds(retry_after, time.time())
        return RetryLater(retry_after_seconds=seconds, error=error)
    if 300 <= status < 500:
        return Refused(error=error if status >= 400 else _with_redirect(response, error))
    return Unknown(reason=f"HTTP {status}: {error.detail or error.title}", status_code=status)


def _find_reply(response: RawResponse, kind: Kind | None) -> TaskReply | None:
    """Return the reply if the response contains an id, in any encoding and any condition."""
    for body in response.readings(MAX_RESPONSE_BYTES):
        found = find_task(body, is_success=200 <= response.status < 300)
        if found is not None:
            return read_task(found, kind=kind)
    return None


def _classify_success(response: RawResponse, kind: Kind | None) -> Submitted:
    """Classify a response that reports success without an id."""
    status = response.status
    if not response.is_complete:
        is_large = len(response.body) >= MAX_RESPONSE_BYTES
        reason = "the response is larger than 1 MiB" if is_large else "the response is incomplete"
        return Unknown(reason=reason, status_code=status)
    try:
        reply = read_task(read_json(response.decode(MAX_RESPONSE_BYTES)), kind=kind)
    except (ValueError, RecursionError) as exc:
        return Unknown(reason=f"the response is not readable: {exc}", status_code=status)
    if reply.error is not None and reply.error.type == "GenerationFailed":
        trace_id = response.headers.get("Traceparent")
        return Refused(error=replace(reply.error, trace_id=trace_id, status_code=status))
    return Unknown(reason="the response contains no id", status_code=status)


def _with_redirect(response: RawResponse, error: ErrorInfo) -> ErrorInfo:
    host = urlsplit(response.headers.get("Location", "")).hostname or "elsewhere on the same host"
    return replace(
        error,
        type="InvalidRequestError",
        title=f"The API redirects to {host}; a create request is never sent on",
        detail="Set mulequeue_base_url to the host and scheme that answer directly.",
    )


def _error(response: RawResponse) -> ErrorInfo:
    try:
        body = bytes(response.decode(MAX_RESPONSE_BYTES)[:MAX_ERROR_BYTES])
    except ResponseError:
        body = b""
    return read_error(response.status, response.headers, body)
