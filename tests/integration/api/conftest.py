"""Status checks over each kind of connections, without the proxies of this machine."""

from __future__ import annotations

import asyncio

import pytest
from support.api_calls import ID, KEY, PATH, aiohttp_connections, profile_of
from support.raw_server import plain_network  # noqa: F401

from mulequeue.api.status_checks import StatusClient, open_connections


@pytest.fixture(autouse=True)
def _plain_network(plain_network):  # noqa: F811
    """Remove the machine's proxies and CA bundles from the environment of each test."""


@pytest.fixture(params=[open_connections, aiohttp_connections], ids=["own", "aiohttp"])
def fetch(request):
    """Check one status over each kind of connections."""

    def fetch(url, remote_id=ID, *, seconds=5.0, key=KEY, path=PATH):
        async def once():
            async with StatusClient(request.param) as checks:
                profile = profile_of(url, key)
                found = await checks.fetch(profile, path, remote_id, timeout_seconds=seconds)
            await asyncio.sleep(0)
            return found

        return asyncio.run(once())

    return fetch
