"""The two requests of a generation: submit it once, fetch its status many times.

``submit`` never raises for what the network or the API does, because whoever calls it has to decide
about money: what came of it is one of the values of :mod:`mulequeue.api.results`.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import aiohttp
from yarl import URL

from mulequeue.api.request_options import (
    PROXY_LOGIN,
    headers_of,
    quote_id,
    reason_of,
    request_options,
    total_timeout,
    url_of,
)
from mulequeue.api.results import (
    Accepted,
    Answer,
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
    read_check,
    transient,
)
from mulequeue.errors import ConfigurationError
from mulequeue.net.environment import (
    CONNECT_TIMEOUT_SECONDS,
    FreshConnector,
    TooLate,
    api_session,
    fresh_session,
    proxy_for,
)
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
    "check_key",
    "fetch",
    "fetch_once",
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

    A fresh connection, one POST, no redirects, no retry of any kind, and a total deadline of
    ``settings.submit_timeout_seconds`` that includes reading the answer.

    :param body: what the user gave; no field is added.
    :param kind: what the model makes, for reading an answer that is already final.
    :param not_after: asked once the connection is up, right before the first byte; True means that
        it is too late and nothing is sent. (A process may have been stopped in between.)
    """
    answer = Answer()
    try:
        data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        return Refused(error=_input_error(exc))
    try:
        connector = FreshConnector(_last_check(not_after))
    except ConfigurationError as exc:
        return NotSent(reason=str(exc))
    session = fresh_session(connector)
    try:
        await _in_time(
            _post(session, profile, api_path, data, answer), settings.submit_timeout_seconds
        )
    except Exception as exc:
        if not connector.connected:
            return NotSent(reason=reason_of(exc, profile))
        # The verdict of a 4xx stands, even if its text did not arrive.
        if answer.status is None or 200 <= answer.status < 300:
            return Unknown(reason=reason_of(exc, profile), status_code=answer.status)
    finally:
        await session.close()
    if answer.status == 407:  # of a proxy, which keeps what it does not let through
        return NotSent(reason=PROXY_LOGIN)
    return classify_create(answer, kind)


async def _post(
    session: aiohttp.ClientSession, profile: Profile, api_path: str, data: bytes, answer: Answer
) -> None:
    url = url_of(profile.base_url, api_path)
    headers = {**headers_of(profile), "Content-Type": "application/json", "Connection": "close"}
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_SECONDS)
    async with session.post(
        URL(url, encoded=True),
        data=data,
        headers=headers,
        proxy=proxy_for(url),
        timeout=timeout,
        allow_redirects=False,
    ) as response:
        await answer.read(response)


async def _in_time(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Wait for it, at most that long in all.

    Two waits: a process that was stopped finds the first one run out when it goes on, and reads
    within the second one the answer that has arrived meanwhile, and the paid id in it.

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
            raise TooLate("too long passed since it was decided to send this")

    return check


async def fetch(
    session: aiohttp.ClientSession,
    profile: Profile,
    api_path: str,
    remote_id: str,
    *,
    timeout_seconds: float,
    kind: Kind | None = None,
) -> Fetched:
    """Check a generation's status once. Raises nothing for what the network or the API does.

    :param session: of :func:`mulequeue.net.environment.api_session`.
    :param timeout_seconds: total time, from waiting for a connection to the last byte.
    """
    try:
        route = request_options(session, profile)
        async with session.get(
            URL(f"{url_of(profile.base_url, api_path)}/{quote_id(remote_id)}", encoded=True),
            headers=route.headers,
            proxy=route.proxy,
            timeout=total_timeout(timeout_seconds),
            allow_redirects=False,
        ) as response:
            answer = Answer()
            await answer.read(response)
        return read_check(answer, kind)
    except (aiohttp.ClientError, OSError, ConfigurationError) as exc:
        return transient(reason_of(exc, profile))
    except ValueError as exc:
        return transient(f"the answer is unreadable: {exc}", 200)


async def check_key(
    session: aiohttp.ClientSession,
    profile: Profile,
    api_path: str,
    *,
    timeout_seconds: float = 15.0,
) -> KeyCheck:
    """Ask the API whether a key works, for free: the status of an id that cannot exist.

    (A create request proves nothing: the API looks at the body before the key.)
    """
    found = await fetch(
        session, profile, api_path, str(uuid.uuid4()), timeout_seconds=timeout_seconds
    )
    if isinstance(found, NotFound):
        if found.gone:
            return KeyCheck(works=True, reason="the key works")
        return KeyCheck(works=None, reason=f"{profile.base_url} knows no path {api_path}")
    if isinstance(found, Transient):
        refused = found.status_code == 401
        return KeyCheck(works=False if refused else None, reason=found.reason)
    return KeyCheck(works=True, reason="the key works")


def submit_once(
    profile: Profile,
    api_path: str,
    body: Mapping[str, Any],
    *,
    settings: Settings,
    kind: Kind | None = None,
    not_after: Callable[[], bool] | None = None,
) -> Submitted:
    """:func:`submit` for callers without an event loop (or with one of their own)."""
    return run_blocking(
        lambda: submit(profile, api_path, body, settings=settings, kind=kind, not_after=not_after)
    )


def fetch_once(
    profile: Profile,
    api_path: str,
    remote_id: str,
    *,
    settings: Settings,
    kind: Kind | None = None,
) -> Fetched:
    """:func:`fetch` for callers without an event loop (or with one of their own)."""

    async def once() -> Fetched:
        async with api_session(settings, limit=1) as session:
            return await fetch(
                session,
                profile,
                api_path,
                remote_id,
                timeout_seconds=settings.poll_timeout_seconds,
                kind=kind,
            )

    return run_blocking(once)
