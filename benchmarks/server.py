"""An API that only answers and remembers, faster than what it measures.

It parses no more of a request than it must and answers from prebuilt bytes: 0.02 ms a status check.
A generation is all in its id: when it finishes (Unix milliseconds, or never) and its number, so that
a status check looks nothing up. What arrived when is written down here, outside of what is measured.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
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
    """The id of generation ``number`` that is done at ``finishes`` (Unix seconds; None: never)."""
    at = f"{NEVER_MS if finishes is None else int(finishes * 1000):012x}"
    return f"{at[:8]}-{at[8:]}-4000-8000-{number:012x}"


def number_of(remote_id: str | bytes) -> int:
    """Its number, as it was made."""
    return int(remote_id[24:], 16)


def finish_of(remote_id: str | bytes) -> float:
    """Unix seconds."""
    return int(remote_id[:8] + remote_id[9:13], 16) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What kind of API it is."""

    seconds: tuple[float, float] | None = None
    """A generation takes so long, evenly spread between the two; None: it never ends."""
    files: str | None = None
    """A folder whose files are served under ``/files/<name>``."""
    asset: str = "asset.png"
    """The file that every finished generation made."""
    seed: int = 1


class Log:
    """Every request, by generation number and Unix second."""

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
    """The answers by status word: all but the first line, with gaps for the id and, at the end, times."""
    made = b',"images":["%s/files/%s"]' % (url.encode(), asset.encode())
    tails = {}
    for word in ("pending", "processing", "completed"):
        is_over = word == "completed"
        stamps = _TRUE_STAMPS if is_over else _STAMPS
        body = b'{"task_info":{"id":"%s","status":"' + word.encode() + b'"' + stamps
        body += (made if is_over else b"") + b"}"
        told = (b"-" * 36, *[_stamp(0.0)] * is_over * 2)
        tails[word] = _JSON + b"%d\r\n\r\n" % len(body % told) + body
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
    """The server as a process of its own; it ends when its starter does.

    :param plan: what kind of API it is.
    """

    def __init__(self, plan: Plan | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_main, args=(other, plan or Plan()), daemon=True)
        self._process.start()
        other.close()
        self.url: str
        self.pid: int
        self.url, self.pid = self._pipe.recv()

    def _get(self, what: str) -> tuple[list[str] | array[int] | int, array[float] | int]:
        self._pipe.send(what)
        found: tuple[list[str] | array[int] | int, array[float] | int] = self._pipe.recv()
        return found

    @property
    def created(self) -> int:
        """How many creates arrived."""
        return int(self._get("counts")[0])  # type: ignore[arg-type]

    @property
    def polls(self) -> int:
        """How many status checks arrived."""
        return int(self._get("counts")[1])  # type: ignore[arg-type]

    def creates(self) -> list[tuple[str, float]]:
        """Every id that was given out, and when (Unix seconds), in order."""
        return list(zip(*self._get("created"), strict=True))  # type: ignore[arg-type]

    def checks(self) -> Iterator[tuple[int, float]]:
        """Every status check: the generation's number and when it came, in order."""
        return zip(*self._get("checks"), strict=True)  # type: ignore[arg-type]

    def arrivals(self) -> dict[int, list[float]]:
        """When the status checks of each generation came, by its number."""
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
