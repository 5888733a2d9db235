"""Classify the responses of the API: each result decides whether a request may be repeated.

A create request ends as one of:

Accepted     the generation exists
NotSent      the request did not leave this machine: may be sent again
RetryLater   the API is busy (429, or 503 with Retry-After): may be sent again
Refused      the API rejected it: sending it again would change nothing
Unknown      the generation may exist and be billed: must not be sent again automatically
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from mulequeue.api.parsing.http_error import is_gone, read_error, retry_after_seconds
from mulequeue.api.parsing.task_reply import TaskReply, read_task
from mulequeue.net.raw_response import RawResponse, ResponseError
from mulequeue.outcome import ErrorInfo, Kind

MAX_RESPONSE_BYTES = 1024**2
MAX_ERROR_BYTES = 64 * 1024
MAX_CHECK_PAUSE_SECONDS = 300.0
"""Longest pause of status checks, also if ``Retry-After`` is longer: some asset URLs expire after an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The generation exists under ``reply.remote_id``; it may already be final."""

    reply: TaskReply
    trace_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Nothing was sent: the connection failed, or it was too late to send."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLater:
    """The API accepts the request only later: 429, or 503 with Retry-After."""

    retry_after_seconds: float | None
    error: ErrorInfo


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
    status_code: int | None
    retry_after_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCheck:
    """The result of a check of an API key."""

    works: bool | None
    """None: the check was inconclusive."""
    reason: str


Submitted = Accepted | NotSent | RetryLater | Unknown | Refused
Fetched = TaskReply | NotFound | Transient


def read_check(response: RawResponse, kind: Kind | None) -> Fetched:
    """Read the response to a status check."""
    status = response.status
    if not 200 <= status < 300:
        error = _error(response)
        if status == 404:
            return NotFound(error=error, is_gone=is_gone(status, error))
        pause = retry_after_seconds(response.headers.get("Retry-After"), time.time())
        if pause is not None:
            pause = min(pause, MAX_CHECK_PAUSE_SECONDS)
        return transient(f"HTTP {status}: {error.detail or error.title}", status, pause)
    if not response.is_complete:
        return transient("the response is larger than 1 MiB", status)
    try:
        return read_task(json.loads(response.decode(MAX_RESPONSE_BYTES)), kind=kind)
    except (ValueError, RecursionError) as exc:
        return transient(f"the response is not readable: {exc}", status)


def transient(
    reason: str, status_code: int | None = None, retry_after_seconds: float | None = None
) -> Transient:
    """Return the result of a status check that must be repeated."""
    return Transient(
        reason=reason, status_code=status_code, retry_after_seconds=retry_after_seconds
    )


def classify_create(response: RawResponse, kind: Kind | None) -> Submitted:
    """Classify the response to a create request."""
    status = response.status
    if 200 <= status < 300:
        return _classify_success(response, kind)
    error = _error(response)
    retry_after = response.headers.get("Retry-After")
    if status == 429 or (status == 503 and retry_after is not None):
        seconds = retry_after_seconds(retry_after, time.time())
        return RetryLater(retry_after_seconds=seconds, error=error)
    if 400 <= status < 500:
        return Refused(error=error)
    if 300 <= status < 400:
        return Refused(error=_with_redirect(response, error))
    return Unknown(reason=f"HTTP {status}: {error.detail or error.title}", status_code=status)


def _classify_success(response: RawResponse, kind: Kind | None) -> Submitted:
    if not response.is_complete:
        return Unknown(reason="the response is larger than 1 MiB", status_code=response.status)
    try:
        reply = read_task(json.loads(response.decode(MAX_RESPONSE_BYTES)), kind=kind)
    except (ValueError, RecursionError) as exc:
        return Unknown(reason=f"the response is not readable: {exc}", status_code=response.status)
    trace_id = response.headers.get("Traceparent")
    if reply.remote_id:
        if reply.error is not None and reply.error.type == "NoAssets":
            # A create response may be final and name no files yet: a status check follows.
            reply = reply._replace(state="active", error=None)
        return Accepted(reply=reply, trace_id=trace_id)
    if reply.error is not None and reply.error.type == "GenerationFailed":
        return Refused(error=replace(reply.error, trace_id=trace_id, status_code=response.status))
    return Unknown(reason="the response contains no id", status_code=response.status)


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
        body = response.decode(MAX_RESPONSE_BYTES)[:MAX_ERROR_BYTES]
    except ResponseError:
        body = b""
    return read_error(response.status, response.headers, body)
