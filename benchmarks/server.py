"""A minimal API server that answers faster than the measured clients, and logs all requests.

It parses only the necessary parts of a request and answers from prebuilt bytes: 0.02 ms per status
check. The id of a generation encodes its number and its end (Unix milliseconds, or never), so a status
check needs no lookup. Arrival times are recorded here, outside of the measured processes.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import threading
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

NEVER_MS = 2**48 - 1
_JSON = b"Content-Type: application/json\r\nContent-Length: "
_STAMPS = b',"created_at":"2026-01-01T00:00:00.000Z","updated_at":"2026-01-01T00:00:00.000Z"}'
_TRUE_STAMPS = b',"created_at":"%s","updated_at":"%s"}'


def make_id(number: int, finishes: float | None) -> str:
    """Return the id of generation ``number`` that ends at ``finishes`` (Unix seconds; None: never)."""
    at = f"{NEVER_MS if finishes is None else int(finishes * 1000):012x}"
    return f"{at[:8]}-{at[8:]}-4000-8000-{number:012x}"


def number_of(remote_id: str | bytes) -> int:
    """Return the number that an id encodes."""
    return int(remote_id[24:], 16)


def finish_of(remote_id: str | bytes) -> float:
    """Return the end that an id encodes, in Unix seconds."""
    return int(remote_id[:8] + remote_id[9:13], 16) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The behaviour of the server."""

    seconds: tuple[float, float] | None = None
    """Range of the uniformly distributed durations; None: generations never end."""
    files: str | None = None
    """A folder whose files are served under ``/files/<name>``."""
    asset: str = "asset.png"
    """The name of the asset of each finished generation."""
    seed: int = 1


class Log:
    """All requests, by generation number and Unix seconds."""

    def __init__(self) -> None:
        self.created: list[str] = []
        self.created_at = array("d")
        self.polled = array("q")
        self.polled_at = array("d")


class Api(asyncio.Protocol):
    """One connection."""

    def __init__(
        self, plan: Plan, log: Log, chance: random.Random, tails: dict[str, bytes]
    ) -> None:
        self._plan, self._log, self._chance, self._tails = plan, log, chance, tails
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._waiting + data if self._waiting else data
        while (head := data.find(b"\r\n\r\n") + 4) > 3:
            end = head
            if data.startswith(b"POST"):
                end += _content_length(data[:head])
                if len(data) < end:
                    break
                self._create()
            elif data.startswith(b"/files/", 4):
                self._send_file(data[11 : data.index(b" ", 4)].decode())
            else:
                self._status(data[4 : data.index(b" ", 4)][-36:])
            data = data[end:]
        self._waiting = data

    def _create(self) -> None:
        now, log, span = time.time(), self._log, self._plan.seconds
        finishes = None if span is None else now + self._chance.uniform(*span)
        remote_id = make_id(len(log.created), finishes)
        log.created.append(remote_id)
        log.created_at.append(now)
        self._answer(b"202 Accepted", self._tails["pending"], remote_id.encode())

    def _status(self, remote_id: bytes) -> None:
        now, log = time.time(), self._log
        log.polled.append(number_of(remote_id))
        log.polled_at.append(now)
        finishes = finish_of(remote_id)
        if now < finishes:
            self._answer(b"200 OK", self._tails["processing"], remote_id)
        else:
            stamps = _stamp(log.created_at[log.polled[-1]]), _stamp(finishes)
            self._answer(b"200 OK", self._tails["completed"], remote_id, *stamps)

    def _answer(self, status: bytes, tail: bytes, *told: bytes) -> None:
        self._transport.write(b"HTTP/1.1 " + status + b"\r\n" + tail % told)

    def _send_file(self, name: str) -> None:
        self._transport.pause_reading()
        self._sending = asyncio.ensure_future(self._stream(Path(self._plan.files or "", name)))

    async def _stream(self, path: Path) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
        with path.open("rb") as file:
            self._transport.write(head % os.fstat(file.fileno()).st_size)
            loop = asyncio.get_running_loop()
            await loop.sendfile(self._transport, file)
        self._transport.resume_reading()


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.find(b"content-length:")
    return int(lowered[start + 15 : lowered.index(b"\r\n", start)]) if start > 0 else 0


def _stamp(at: float) -> bytes:
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z").encode()


def _tails(url: str, asset: str) -> dict[str, bytes]:
    """Return the answers by status word, without the first line.

    They have placeholders for the id and, for ``completed``, for the times.
    """
    made = b',"images":["%s/files/%s"]' % (url.encode(), asset.encode())
    tails = {}
    for word in ("pending", "processing", "completed"):
        is_over = word == "completed"
        stamps = _TRUE_STAMPS if is_over else _STAMPS
        body = b'{"task_info":{"id":"%s","status":"' + word.encode() + b'"' + stamps
        body += (made if is_over else b"") + b"}"
        values = (b"-" * 36, *[_stamp(0.0)] * is_over * 2)
        tails[word] = _JSON + b"%d\r\n\r\n" % len(body % values) + body
    return tails


async def _serve(pipe: Connection, plan: Plan) -> None:
    log, chance, tails = Log(), random.Random(plan.seed), {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Api(plan, log, chance, tails), "127.0.0.1", 0, backlog=1024
    )
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    tails.update(_tails(url, plan.asset))
    pipe.send((url, os.getpid()))
    while (asked := await loop.run_in_executor(None, _ask, pipe)) is not None:
        if asked == "counts":
            pipe.send((len(log.created), len(log.polled)))
        elif asked == "created":
            pipe.send((list(log.created), log.created_at))
        else:
            pipe.send((log.polled, log.polled_at))


def _ask(pipe: Connection) -> str | None:
    try:
        return str(pipe.recv())
    except EOFError:
        return None


def _main(pipe: Connection, plan: Plan) -> None:
    asyncio.run(_serve(pipe, plan))


class BenchServer:
    """The server in a child process, which ends with this process.

    :param plan: the behaviour of the server.
    """

    def __init__(self, plan: Plan | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._lock = threading.Lock()
        self._process = context.Process(target=_main, args=(other, plan or Plan()), daemon=True)
        self._process.start()
        other.close()
        self.url: str
        self.pid: int
        self.url, self.pid = self._pipe.recv()

    def _get(self, what: str) -> tuple[list[str] | array[int] | int, array[float] | int]:
        found: tuple[list[str] | array[int] | int, array[float] | int]
        with self._lock:  # an answer belongs to the thread that asked
            self._pipe.send(what)
            found = self._pipe.recv()
        return found

    @property
    def created(self) -> int:
        """The number of creates so far."""
        return int(self._get("counts")[0])  # type: ignore[arg-type]

    @property
    def polls(self) -> int:
        """The number of status checks so far."""
        return int(self._get("counts")[1])  # type: ignore[arg-type]

    def creates(self) -> list[tuple[str, float]]:
        """Return all created ids and their times (Unix seconds), in order."""
        return list(zip(*self._get("created"), strict=True))  # type: ignore[arg-type]

    def checks(self) -> Iterator[tuple[int, float]]:
        """Return generation number and arrival time of all status checks, in order."""
        return zip(*self._get("checks"), strict=True)  # type: ignore[arg-type]

    def arrivals(self) -> dict[int, list[float]]:
        """Return the arrival times of the status checks by generation number."""
        of: dict[int, list[float]] = {}
        for number, at in self.checks():
            of.setdefault(number, []).append(at)
        return of

    def stop(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
