"""The floor: an aiohttp loop that only polls, 64 at once, and remembers nothing.

``python -m benchmarks.peers.bare_loop COUNT SECONDS``: so many generations, each once in so many
seconds. With BENCH_LOOP=uvloop on that loop.
"""

import asyncio
import os
import sys
from collections.abc import Iterator

import aiohttp

from benchmarks.server import make_id

API = os.environ["BENCH_API"]


async def drain(session: aiohttp.ClientSession, ids: Iterator[str]) -> None:
    for remote_id in ids:
        async with session.get(f"{API}/vendors/peer/generation/{remote_id}") as answer:
            body = await answer.json()
        assert body["task_info"]["status"] == "processing"


async def main(count: int, seconds: float) -> None:
    """A part of them every half second."""
    ids = [make_id(number, None) for number in range(count)]
    parts = max(int(seconds / 0.5), 1)
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        due, part = loop.time(), 0
        while True:
            waiting = iter(ids[part::parts])
            await asyncio.gather(*(drain(session, waiting) for _ in range(64)))
            due, part = due + seconds / parts, (part + 1) % parts
            await asyncio.sleep(max(due - loop.time(), 0))


if __name__ == "__main__":
    if os.environ.get("BENCH_LOOP") == "uvloop":
        import uvloop

        uvloop.install()
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
