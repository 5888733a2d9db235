"""Check the status of generations, and whether a key works."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Self

from mulequeue.api.parsing import TaskReply
from mulequeue.api.request_options import describe_error, endpoint, quote_id, request_headers
from mulequeue.api.results import (
    MAX_INLINE_BYTES,
    MAX_RESPONSE_BYTES,
    Fetched,
    KeyCheck,
    NotFound,
    Transient,
    is_local_fault,
    read_check,
)
from mulequeue.errors import ConfigurationError
from mulequeue.net.environment import ca_bundle, proxy_for, tls_context
from mulequeue.net.raw_response import ResponseError
from mulequeue.net.run_blocking import run_blocking
from mulequeue.net.status_connections import StatusConnectionPool
from mulequeue.outcome import Kind
from mulequeue.settings import Profile, Settings

INLINE_FACTOR = 4
"""Ratio of the timeout of a check whose response contains the asset itself to that of other checks."""


def open_connections(profile: Profile) -> StatusConnectionPool:
    """Return a pool of connections to a profile's host, through the proxy that the environment names for it.

    :raises ConfigurationError: the key or the CA bundle cannot be used.
    """
    return StatusConnectionPool(
        profile.base_url,
        request_headers(profile),
        ssl_context=tls_context(ca_bundle()),
        max_bytes=MAX_RESPONSE_BYTES,
        proxy=proxy_for(profile.base_url),
    )


class StatusClient:
    """A client for status checks, with one connection pool per profile. It is used and closed on one event loop."""

    def __init__(
        self, connect: Callable[[Profile], StatusConnectionPool] = open_connections
    ) -> None:
        self._connect = connect
        self._pools: dict[Profile, StatusConnectionPool] = {}
        self._inline = asyncio.Lock()

    async def fetch(
        self,
        profile: Profile,
        api_path: str,
        remote_id: str,
        *,
        timeout_seconds: float,
        kind: Kind | None = None,
    ) -> Fetched:
        """Check a generation's status, and return a Transient for errors of the network or the API.

        A second request follows a response that exceeds 1 MiB or is about another generation.

        :param timeout_seconds: total time of each request; four times as long after a response that was too large.
        """
        try:
            pool = self._pools.get(profile)
            if pool is None:
                pool = self._pools[profile] = self._connect(profile)
            target = f"{endpoint(profile.base_url, api_path).raw_path}/{quote_id(remote_id)}"
            found = read_check(await pool.get(target, seconds=timeout_seconds), kind)
            if isinstance(found, TaskReply) and found.remote_id == remote_id:
                return found
            if isinstance(found, Transient) and found.is_too_large:
                seconds = INLINE_FACTOR * timeout_seconds
                found = await self._fetch_inline(pool, target, seconds, kind)
            elif _is_of_another(found, remote_id):
                # A reused connection may deliver the response to its previous request; a new one cannot.
                response = await pool.get(target, seconds=timeout_seconds, fresh=True)
                found = read_check(response, kind)
            if _is_of_another(found, remote_id):
                return Transient(reason="the response is about another generation")
            return found
        except ResponseError as exc:
            return Transient(reason=f"the response is not readable: {exc}")
        except (OSError, ConfigurationError) as exc:
            return Transient(reason=describe_error(exc, profile), is_local=is_local_fault(exc))

    async def _fetch_inline(
        self, pool: StatusConnectionPool, target: str, seconds: float, kind: Kind | None
    ) -> Fetched:
        """Check again with the limit of inline assets. Only one such check runs at a time, to limit the memory."""
        async with asyncio.timeout(seconds), self._inline:
            response = await pool.get(target, seconds=seconds, max_bytes=MAX_INLINE_BYTES)
            return read_check(response, kind, MAX_INLINE_BYTES)

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()


def _is_of_another(found: Fetched, remote_id: str) -> bool:
    """Return whether a response has the id of another generation. Case and hyphens are ignored (UUIDs)."""
    if not isinstance(found, TaskReply) or found.remote_id is None:
        return False
    first, second = (each.replace("-", "").casefold() for each in (found.remote_id, remote_id))
    return first != second


def unused_id() -> str:
    """Return a random id that no generation has. To check its status is free of charge."""
    return str(uuid.uuid4())


def is_unknown_id(found: Fetched) -> bool:
    """Return whether the API reports that the id does not exist, as it does for :func:`unused_id`."""
    return isinstance(found, NotFound) and found.is_gone


async def check_key(
    client: StatusClient, profile: Profile, api_path: str, *, timeout_seconds: float = 15.0
) -> KeyCheck:
    """Check whether a key works, free of charge: request the status of an id that does not exist.

    An invalid create request would not show this, because the API validates the body before the key.
    """
    found = await client.fetch(profile, api_path, unused_id(), timeout_seconds=timeout_seconds)
    if isinstance(found, NotFound) and not found.is_gone:
        return KeyCheck(works=None, reason=f"{profile.base_url} knows no path {api_path}")
    if isinstance(found, Transient):
        refused = found.status_code == 401
        return KeyCheck(works=False if refused else None, reason=found.reason)
    return KeyCheck(works=True, reason="the key works")


def fetch_once(
    profile: Profile,
    api_path: str,
    remote_id: str,
    *,
    settings: Settings,
    kind: Kind | None = None,
) -> Fetched:
    """Check a status from synchronous code, also in a thread that runs an event loop."""

    async def once() -> Fetched:
        async with StatusClient() as client:
            return await client.fetch(
                profile,
                api_path,
                remote_id,
                timeout_seconds=settings.poll_timeout_seconds,
                kind=kind,
            )

    return run_blocking(once)
