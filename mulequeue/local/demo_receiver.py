"""A receiver of notifications, as a user would write one: it checks the signature."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks import Webhook

_MAX_BYTES = 16 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A notification whose signature is right."""

    id: str
    """``webhook-id``."""
    type: str
    """``batch.finished``."""
    counts: dict[str, int]
    at: datetime


class Receiver:
    """Listens on the loopback interface until it is left.

    :param secret: that the notifications are signed with.
    """

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)
        self._arrived = threading.Event()
        self._first: Received | None = None
        self.refused = 0
        """POSTs whose signature was wrong."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def wait(self, seconds: float) -> Received | None:
        """The first notification, or None when none arrives in time."""
        self._arrived.wait(seconds)
        return self._first

    def take(self, body: bytes, headers: dict[str, str]) -> bool:
        """Whether the signature is right."""
        try:
            told: dict[str, Any] = self._webhook.verify(body, headers)
        except Exception:  # malformed headers raise more than the library's own error
            self.refused += 1
            return False
        counts = dict(told.get("data", {}).get("counts", {}))
        name = headers["webhook-id"]
        self._first = self._first or Received(
            id=name, type=told["type"], counts=counts, at=datetime.now(UTC)
        )
        self._arrived.set()
        return True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = min(int(self.headers.get("Content-Length") or 0), _MAX_BYTES)
            headers = {name.lower(): value for name, value in self.headers.items()}
            is_good = receiver.take(self.rfile.read(size), headers)
            self.send_response(204 if is_good else 401)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass  # the page tells

    return Handler
