"""The status checks of one process: over lines of its own, or by aiohttp where a proxy is on the way."""

from __future__ import annotations

import json
from functools import lru_cache

import aiohttp
from yarl import URL

from mulequeue.api import client, parsing
from mulequeue.api.parsing import TaskReply
from mulequeue.api.request_options import headers_of, quote_id, reason_of, url_of
from mulequeue.api.results import MAX_ANSWER_BYTES, Answer, Fetched, read_check, transient
from mulequeue.errors import ConfigurationError
from mulequeue.net.environment import COMMON_HEADERS, api_session, ca_bundle, proxy_for, tls_context
from mulequeue.net.response_parser import ResponseError, ResponseParser
from mulequeue.net.status_connections import StatusConnectionPool
from mulequeue.settings import Profile, Settings


class StatusClient:
    """To be made, used and closed on one event loop.

    :param limit: most connections at once through a proxy. (Without one there are as many as checks
        are under way.)
    """

    def __init__(self, settings: Settings, *, limit: int) -> None:
        self._settings, self._limit = settings, limit
        self._session: aiohttp.ClientSession | None = None
        self._lines: dict[Profile, StatusConnectionPool | None] = {}

    async def fetch(
        self, profile: Profile, api_path: str, remote_id: str, *, timeout_seconds: float
    ) -> Fetched:
        """Check a generation's status once. Raises nothing for what the network or the API does.

        :param timeout_seconds: total time, from connecting to the last byte.
        """
        try:
            if profile not in self._lines:
                self._lines[profile] = _pool_for(profile)
            lines = self._lines[profile]
            if lines is None:
                return await client.fetch(
                    self._proxied(), profile, api_path, remote_id, timeout_seconds=timeout_seconds
                )
            target = f"{_target(profile.base_url, api_path)}/{quote_id(remote_id)}"
            found = _read(await lines.get(target, seconds=timeout_seconds))
            if isinstance(found, TaskReply) and found.remote_id not in (None, remote_id):
                lines.close()  # answers may be one behind on a kept line; on a fresh one there is no other
                found = _read(await lines.get(target, seconds=timeout_seconds))
            return found
        except (OSError, ConfigurationError) as exc:
            return transient(reason_of(exc, profile))
        except ResponseError as exc:
            return transient(f"the answer is unreadable: {exc}")

    def _proxied(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = api_session(self._settings, limit=self._limit)
        return self._session

    async def close(self) -> None:
        """All connections."""
        for lines in self._lines.values():
            if lines is not None:
                lines.close()
        if self._session is not None:
            await self._session.close()


def _pool_for(profile: Profile) -> StatusConnectionPool | None:
    """None: there is a proxy on the way."""
    if proxy_for(profile.base_url) is not None:
        return None
    headers = {**COMMON_HEADERS, **headers_of(profile)}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return StatusConnectionPool(
        profile.base_url,
        head.encode("ascii"),
        ssl_context=tls_context(ca_bundle()),
        most_bytes=MAX_ANSWER_BYTES,
    )


@lru_cache(maxsize=1024)
def _target(base_url: str, api_path: str) -> str:
    return URL(url_of(base_url, api_path), encoded=True).raw_path


def _read(reply: ResponseParser) -> Fetched:
    if reply.status == 200 and reply.is_whole and reply.encoding is None:
        try:
            return parsing.read_task(json.loads(reply.body))
        except (ValueError, RecursionError) as exc:
            return transient(f"the answer is unreadable: {exc}", 200)
    answer = Answer(reply.status, reply.headers, reply.body, complete=reply.is_whole)
    return read_check(answer, None)
