"""The floor: a loop that only polls, 64 generations at once, and stores nothing.

``python -m benchmarks.peers.bare_loop COUNT SECONDS`` polls COUNT generations with aiohttp, each once
per SECONDS. BENCH_LOOP=uvloop uses that loop. BENCH_CLIENT=pool uses mulequeue's status connections,
so that the cost of its records, claims and leases is visible separately.
"""

import asyncio
import json
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator

import aiohttp

from benchmarks.server import make_id

API = os.environ["BENCH_API"]


Ask = Callable[[str], Awaitable[bytes]]


async def drain(ask: Ask, ids: Iterator[str]) -> None:
    for remote_id in ids:
        body = json.loads(await ask(remote_id))
        assert body["task_info"]["status"] == "processing"


def by_aiohttp() -> Ask:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64))

    async def ask(remote_id: str) -> bytes:
        async with session.get(f"{API}/vendors/peer/generation/{remote_id}") as answer:
            return await answer.read()

    return ask


def by_pool() -> Ask:
    from mulequeue.net.status_connections import StatusConnectionPool

    context = ssl.create_default_context()
    pool = StatusConnectionPool(
        API, {"Accept": "application/json"}, ssl_context=context, max_bytes=2**20
    )

    async def ask(remote_id: str) -> bytes:
        return (await pool.get(f"/vendors/peer/generation/{remote_id}", seconds=15)).body

    return ask


async def main(count: int, seconds: float) -> None:
    """Poll a part of the generations every half second."""
    ids = [make_id(number, None) for number in range(count)]
    parts = max(int(seconds / 0.5), 1)
    loop = asyncio.get_running_loop()
    ask = by_pool() if os.environ.get("BENCH_CLIENT") == "pool" else by_aiohttp()
    due, part = loop.time(), 0
    while True:
        waiting = iter(ids[part::parts])
        await asyncio.gather(*(drain(ask, waiting) for _ in range(64)))
        due, part = due + seconds / parts, (part + 1) % parts
        await asyncio.sleep(max(due - loop.time(), 0))


if __name__ == "__main__":
    if os.environ.get("BENCH_LOOP") == "uvloop":
        import uvloop

        uvloop.install()
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
