"""Send the create request of a generation, at most once.

``submit`` raises nothing for errors of the network or the API, because each of them decides whether
the request may be repeated or was possibly billed: it returns a value of
:mod:`mulequeue.api.results`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import aiohttp
from yarl import URL

from mulequeue.api.request_options import PROXY_LOGIN, describe_error, endpoint_url, request_headers
from mulequeue.api.results import (
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
from mulequeue.errors import ConfigurationError
from mulequeue.net.aiohttp_session import (
    FreshConnector,
    TooLate,
    fresh_session,
    receive,
    translate_errors,
)
from mulequeue.net.environment import CONNECT_TIMEOUT_SECONDS, proxy_for
from mulequeue.net.raw_response import RawResponse
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
    :param not_after: called when the connection is established, before the first byte is sent; if
        it returns True, nothing is sent. (The process may have been stopped in the meantime.)
    """
    response = RawResponse()
    try:
        data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        return Refused(error=_input_error(exc))
    try:
        headers = {
            **request_headers(profile),
            "Content-Type": "application/json",
            "Connection": "close",
        }
        connector = FreshConnector(_last_check(not_after))
    except ConfigurationError as exc:
        return NotSent(reason=str(exc))
    session = fresh_session(connector, headers)
    try:
        await _in_time(
            _post(session, profile, api_path, data, response), settings.submit_timeout_seconds
        )
    except Exception as exc:
        if not connector.was_connected:
            return NotSent(reason=describe_error(exc, profile))
        # A 4xx is final, even if its body did not arrive.
        if not response.status or 200 <= response.status < 300:
            return Unknown(reason=describe_error(exc, profile), status_code=response.status or None)
    finally:
        await session.close()
    if response.status == 407:  # from a proxy, which did not forward the request
        return NotSent(reason=PROXY_LOGIN)
    return classify_create(response, kind)


async def _post(
    session: aiohttp.ClientSession,
    profile: Profile,
    api_path: str,
    data: bytes,
    response: RawResponse,
) -> None:
    url = endpoint_url(profile.base_url, api_path)
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_SECONDS)
    with translate_errors():
        async with session.post(
            URL(url, encoded=True),
            data=data,
            proxy=proxy_for(url),
            timeout=timeout,
            allow_redirects=False,
        ) as incoming:
            await receive(incoming, response, max_bytes=MAX_RESPONSE_BYTES)


async def _in_time(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Wait for ``work``, at most ``seconds`` in total.

    It waits twice. If the process is stopped (SIGSTOP) and the first wait has expired when it
    continues, the second one reads the response that arrived meanwhile, with the id of a billed
    generation.

    :raises TimeoutError: it took longer.
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


def _input_error(exc: Exception) -> ErrorInfo:
    title = "The input cannot be written as JSON; nothing was sent"
    return ErrorInfo(type="InputError", title=title, detail=str(exc)[:500])


def _last_check(not_after: Callable[[], bool] | None) -> Callable[[], None]:
    def check() -> None:
        if not_after is not None and not_after():
            raise TooLate("too much time has passed since the decision to send this request")

    return check


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
