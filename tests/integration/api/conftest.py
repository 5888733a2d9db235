"""Status checks in each of the two ways there are, without the proxies of this machine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.api_calls import ID, KEY, PATH, profile_of
from support.raw_server import plain_network  # noqa: F401

from mulequeue.api import client
from mulequeue.api.status_checks import StatusClient
from mulequeue.settings import Profile, Settings


@pytest.fixture(autouse=True)
def _plain_network(plain_network):  # noqa: F811
    """No test here meets a proxy or a CA bundle that it did not set itself."""


@pytest.fixture(params=["aiohttp", "lines"])
def fetch(request):
    """One status check, in each of the two ways there are."""

    def fetch(url, remote_id=ID, *, seconds=5.0, key=KEY, path=PATH):
        settings, profile = Settings(poll_timeout_seconds=seconds), profile_of(url, key)
        if request.param == "aiohttp":
            return client.fetch_once(profile, path, remote_id, settings=settings)
        return asyncio.run(_over_lines(settings, profile, path, remote_id))

    return fetch


async def _over_lines(settings: Settings, profile: Profile, path: str, remote_id: str) -> Any:
    checks = StatusClient(settings, limit=1)
    seconds = settings.poll_timeout_seconds
    found = await checks.fetch(profile, path, remote_id, timeout_seconds=seconds)
    await checks.close()
    return found
