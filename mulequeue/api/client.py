"""Send the create request of a generation, at most once.

For an error of the network or the API, ``submit`` raises nothing. It returns a value of
:mod:`mulequeue.api.results`, which shows whether the request may be repeated or was possibly billed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from yarl import URL

from mulequeue.api.request_options import PROXY_LOGIN, describe_error, endpoint, request_headers
from mulequeue.api.results import (
    FROM_THE_NETWORK,
    MAX_RESPONSE_BYTES,
    Accepted,
    Fetched,
    KeyCheck,
    NotFound,
    NotSent,
    Refused,
    RetryLater,
    Submitted,
    Transient,
    Unknown,
    classify_create,
)
from mulequeue.net.connection import Connection, connect, request_head
from mulequeue.net.environment import CONNECT_TIMEOUT_SECONDS, ca_bundle, proxy_for, tls_context
from mulequeue.net.raw_response import MAX_HEAD_BYTES, RawResponse, ResponseError, read_leniently
from mulequeue.net.run_blocking import run_blocking
from mulequeue.outcome import ErrorInfo, Kind
from mulequeue.settings import Profile, Settings

__all__ = [
    "Accepted",
    "Fetched",
    "KeyCheck",
    "NotFound",
    "NotSent",
    "Refused",
    "RetryLater",
    "Submitted",
    "Transient",
    "Unknown",
    "submit",
    "submit_once",
]

REST_SECONDS = 1.0
"""Time to receive the rest of a response that contains no id so far."""


class TooLate(Exception):
    """The connection is open, but the request must no longer be sent."""


async def submit(
    profile: Profile,
    api_path: str,
    body: Mapping[str, Any],
    *,
    settings: Settings,
    kind: Kind | None = None,
    not_after: Callable[[], bool] | None = None,
) -> Submitted:
    """Send one create request, exactly as given, at most once.

    Uses a new connection, one POST, no redirect and no retry. The total deadline of
    ``settings.submit_timeout_seconds`` includes reading the response.

    :param body: the user's input; no field is added.
    :param kind: the kind of asset that the model generates, to read a response that is final.
    :param not_after: called when the connection is established, before the first byte is sent. If it returns
        True, nothing is sent: too much time has passed, for example because the process was stopped.
    """
    try:
        data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        title = "The input cannot be written as JSON; nothing was sent"
        return Refused(error=ErrorInfo(type="InputError", title=title, detail=str(exc)[:500]))
    attempt = _Attempt(not_after)
    try:
        await _in_time(attempt.run(profile, api_path, data), settings.submit_timeout_seconds)
    except Exception as exc:
        if not attempt.was_sent:
            is_too_late = isinstance(exc, TooLate)
            return NotSent(reason=describe_error(exc, profile), is_too_late=is_too_late)
        attempt.error = exc
    finally:
        if attempt.connection is not None:
            attempt.connection.close()
    status = attempt.response.status
    if status in FROM_THE_NETWORK:  # the request was not forwarded
        login = PROXY_LOGIN if status == 407 else f"the network asks for a login ({status})"
        return NotSent(reason=login)
    return attempt.result(profile, kind)


class _Attempt:
    """One create request."""

    def __init__(self, not_after: Callable[[], bool] | None) -> None:
        self.connection: Connection | None = None
        self.was_sent = False
        """True from the moment at which bytes of the request may have been sent."""
        self.response = RawResponse()
        self.error: Exception | None = None
        self._not_after = not_after

    async def run(self, profile: Profile, api_path: str, data: bytes) -> None:
        """Connect, send the request, and receive the response."""
        url = endpoint(profile.base_url, api_path)
        proxy = URL(found) if (found := proxy_for(str(url))) else None
        headers = {
            "Connection": "close",
            **request_headers(profile),
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
        }
        before, after = request_head("POST", url, proxy, headers)
        request = before + url.raw_path_qs.encode("ascii") + after + data
        self.connection = connection = await connect(
            url,
            proxy,
            tls_context(ca_bundle()),
            seconds=CONNECT_TIMEOUT_SECONDS,
            record_bytes=MAX_RESPONSE_BYTES + 2 * MAX_HEAD_BYTES,
        )
        if self._not_after is not None and self._not_after():
            raise TooLate("too much time has passed since the decision to send this request")
        self.was_sent = True
        try:
            self.response = await connection.send(request, MAX_RESPONSE_BYTES)
        except ResponseError as exc:
            self.error = exc
        if isinstance(classify_create(self.response, None), Unknown):
            # Bytes after the response may contain the id: a server can declare too small a length.
            await asyncio.wait({connection.closed}, timeout=REST_SECONDS)

    def result(self, profile: Profile, kind: Kind | None) -> Submitted:
        """Classify what was received, even if the request ended with an error."""
        result = classify_create(self.response, kind)
        if not isinstance(result, Unknown):
            return result
        response = read_leniently(bytes(self.connection.received) if self.connection else b"")
        result = classify_create(response, kind) if response.status else result
        if isinstance(result, Unknown) and self.error is not None:
            reason = describe_error(self.error, profile)
            return Unknown(reason=reason, status_code=response.status or None)
        return result


async def _in_time(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Wait for ``work``, at most ``seconds`` in total.

    The time is divided into two waits. If the process was stopped (SIGSTOP) until the first wait expired,
    the second wait still reads a response that arrived meanwhile, with the id of a billed generation.

    :raises TimeoutError: ``work`` took longer.
    """
    task = asyncio.create_task(work)
    last = min(1.0, seconds / 2)
    try:
        for part in (seconds - last, last):
            if (await asyncio.wait({task}, timeout=part))[0]:
                return await task
        raise TimeoutError
    finally:
        if task.cancel():
            await asyncio.wait({task}, timeout=1)


def submit_once(
    profile: Profile,
    api_path: str,
    body: Mapping[str, Any],
    *,
    settings: Settings,
    kind: Kind | None = None,
    not_after: Callable[[], bool] | None = None,
) -> Submitted:
    """Call :func:`submit` from synchronous code, also in a thread that runs an event loop."""
    return run_blocking(
        lambda: submit(profile, api_path, body, settings=settings, kind=kind, not_after=not_after)
    )
