"""Classify the responses of the API: each result decides whether a request may be repeated.

A create request ends as one of:

Accepted     the generation exists
NotSent      the request did not reach the API: may be sent again
RetryLater   the API is busy (429, or 503 with Retry-After), or the key or the balance has to be fixed
             (401, 402): may be sent again
Refused      the API rejected the request: the same request would be rejected again
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
"""Limit of a status response that contains the asset itself. The API returns speech as hex digits unless the
input asks for URLs. The longest documented prompt, 10,000 characters, gives 11 minutes of speech or 21 MB."""
MAX_ERROR_BYTES = 64 * 1024
MAX_CHECK_PAUSE_SECONDS = 300.0
"""Longest pause of status checks that ``Retry-After`` can set, because some asset URLs expire after an hour."""

FROM_THE_NETWORK = (407, 511)
"""Statuses of a proxy (407) or of the network's login page (511), which respond in place of the API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The generation exists under ``reply.remote_id``. It may already have succeeded or failed."""

    reply: TaskReply
    trace_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """The request did not reach the API: there was no connection, it was too late to send, or a proxy or a login
    page responded."""

    reason: str
    is_too_late: bool = False
    """The connection was established, but ``not_after`` of ``submit`` returned True."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLater:
    """The request may be sent again later: the API returned 429, 503 with Retry-After, 401 or 402."""

    retry_after_seconds: float | None
    error: ErrorInfo

    @property
    def needs_fix(self) -> bool:
        """Return whether the key (401) or the balance (402) has to be fixed first."""
        return self.error.type != "RateLimited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The request was sent, and no response shows whether the generation exists."""

    reason: str
    status_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The API or the edge in front of it rejected or redirected the request, or the input is not JSON."""

    error: ErrorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFound:
    """404 on a status check."""

    error: ErrorInfo
    is_gone: bool
    """True: the API reports that the id does not exist. False: the path itself may not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transient:
    """A status check without a result; it never causes a generation to fail."""

    reason: str
    status_code: int | None = None
    retry_after_seconds: float | None = None
    is_local: bool = False
    """The cause may concern this host only: :func:`is_local_fault`, or a response of a proxy, of a network's
    login page, or of the edge in front of the API."""
    is_too_large: bool = False
    """The response exceeds the limit of this check."""


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
    """Convert the response to a status check, with at most ``max_bytes`` after decompression, into a result."""
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
    """Return whether the cause may concern this host only, so that another host may reach the API.

    True if there was no connection (DNS, route, proxy, certificate), or if the key or the CA bundle is unusable.
    An API that is down has the same effect; only the checks of other hosts show the difference.
    """
    return isinstance(exc, (NotConnected, ConfigurationError))


def classify_create(response: RawResponse, kind: Kind | None) -> Submitted:
    """Classify the response to a create request.

    A response that contains an id is Accepted, except a failure with a 4xx status.
    """
    status = response.status
    reply = _find_reply(response, kind)
    if reply is not None and not (reply.state == "failed" and 400 <= status < 500):
        if reply.error is not None and reply.error.type == "NoAssets":
            # A create response may say "completed" before it contains the assets: a status check follows.
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
    """Return the reply if the response contains an id, also if the body is damaged or wrongly encoded."""
    for body in response.readings(MAX_RESPONSE_BYTES):
        found = find_task(body, is_success=200 <= response.status < 300)
        if found is not None:
            return read_task(found, kind=kind)
    return None


def _classify_success(response: RawResponse, kind: Kind | None) -> Submitted:
    """Classify a 2xx response that contains no id."""
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
