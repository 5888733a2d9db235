"""The user's own server that notifications go to; it counts what arrived."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from support.waiting import wait_until


@dataclass(frozen=True)
class Received:
    id: str
    signature: str
    timestamp: str
    body: bytes
    answered: int
    at: float
    """Unix seconds."""


class Receiver:
    """Answers ``statuses`` one after the other, then 200.

    :param statuses: of the first requests.
    """

    def __init__(self, statuses: Sequence[int] = ()) -> None:
        self.received: list[Received] = []
        left = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = left.pop(0) if left else 200
                names = ("id", "signature", "timestamp")
                headers = {name: self.headers[f"webhook-{name}"] for name in names}
                receiver.received.append(
                    Received(**headers, body=body, answered=status, at=time.time())
                )
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def wait(self, count: int, seconds: float = 30.0) -> list[Received]:
        """Until so many requests arrived; all of them."""
        what = f"{count} notifications"
        wait_until(lambda: len(self.received) >= count, seconds=seconds, what=what)
        return self.received

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
