"""A receiver of notifications that verifies their signatures and records them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notification that arrived with a valid signature."""

    id: str
    """``webhook-id``: the same on every attempt."""
    type: str
    """``generation.succeeded``, …, or ``batch.finished``."""
    data: dict[str, Any]
    """The outcome, or the batch."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """Time of arrival, UTC."""


class Notifications:
    """Records the notifications that are sent to its ``url``, on the loopback interface.

    :param secret: the secret with which notifications are signed.
    """

    def __init__(self, secret: str) -> None:
        self.received: list[Notification] = []
        self.forged: list[str] = []
        """The error of each request that had no valid signature."""
        self._webhook = Webhook(secret)
        self._refusals: list[int] = []
        self._arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/notifications"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True, name="notifications"
        )
        self._thread.start()

    def refuse(self, status: int = 503, *, times: int = 1) -> None:
        """Answer the next ``times`` requests with this status, and do not record them."""
        self._refusals += [status] * times

    def wait(self, count: int = 1, *, timeout_seconds: float = 10.0) -> list[Notification]:
        """Wait until ``count`` notifications have arrived, and return all of them.

        :raises TimeoutError: fewer arrived in time.
        """
        with self._arrived:
            if self._arrived.wait_for(lambda: len(self.received) >= count, timeout_seconds):
                return list(self.received)
        raise TimeoutError(
            f"{len(self.received)} of {count} notifications arrived in {timeout_seconds:g} s: "
            f"{[item.type for item in self.received]}. Invalid signatures: {self.forged or 'none'}."
        )

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def record(self, headers: dict[str, str], body: bytes) -> int:
        """Record one request if its signature is valid, and return the HTTP status to answer.

        :param headers: by lower-case name.
        """
        if self._refusals:
            return self._refusals.pop(0)
        try:
            event = self._webhook.verify(body, headers)
            found = Notification(id=headers["webhook-id"], type=event["type"], data=event["data"])
        except Exception as exc:  # malformed headers raise more than the library's own error
            self.forged.append(repr(exc))
            return 401
        with self._arrived:
            self.received.append(found)
            self._arrived.notify_all()
        return 204


def _handler_for(recorder: Notifications) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(recorder.record(headers, body))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
