"""An API that does nothing but remember: an id for a create, ``processing`` for every status check.

It is another process than what is measured, costs 0.05 ms a request, and writes down when each
generation was created and checked, so that lateness is measured outside of mulequeue.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from multiprocessing.connection import Connection

from aiohttp.web import BaseRequest, Response, Server, ServerRunner, TCPSite


class Arrivals:
    """Unix seconds of every request, by generation; the first is the create."""

    def __init__(self) -> None:
        self.of: dict[str, list[float]] = {}

    async def handle(self, request: BaseRequest) -> Response:
        now = time.time()
        if request.method == "POST":
            await request.read()
            remote_id = f"00000000-0000-4000-8000-{len(self.of):012d}"
            self.of[remote_id] = [now]
        else:
            remote_id = request.path.rpartition("/")[2]
            self.of[remote_id].append(now)
        body = json.dumps({"task_info": {"id": remote_id, "status": "processing"}}).encode()
        status = 202 if request.method == "POST" else 200
        return Response(body=body, status=status, content_type="application/json")


async def _serve(pipe: Connection) -> None:
    arrivals = Arrivals()
    runner = ServerRunner(Server(arrivals.handle, access_log=None))
    await runner.setup()
    await TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    pipe.send(f"http://127.0.0.1:{runner.addresses[0][1]}")
    loop = asyncio.get_running_loop()
    while True:
        asked = await loop.run_in_executor(None, _ask, pipe)
        if asked is None:
            break
        pipe.send(arrivals.of if asked == "arrivals" else len(arrivals.of))
    await runner.cleanup()


def _ask(pipe: Connection) -> str | None:
    try:
        return str(pipe.recv())
    except EOFError:
        return None


def _main(pipe: Connection) -> None:
    asyncio.run(_serve(pipe))


class BenchServer:
    """The server as a process; it ends when its starter does."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_main, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self.url: str = self._pipe.recv()

    @property
    def created(self) -> int:
        """How many creates arrived."""
        self._pipe.send("created")
        return int(self._pipe.recv())

    def arrivals(self) -> dict[str, list[float]]:
        """Unix seconds: the create of each generation, then its status checks."""
        self._pipe.send("arrivals")
        return dict(self._pipe.recv())

    def stop(self) -> None:
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
