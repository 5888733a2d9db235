"""The user's receiver of notifications, as a recorder that verifies their signatures."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One that arrived, with a good signature."""

    id: str
    """``webhook-id``: the same when it is repeated."""
    type: str
    """``generation.succeeded``, …, or ``batch.finished``."""
    data: dict[str, Any]
    """The outcome, or the batch."""


class Notifications:
    """Listens on the loopback interface; ``url`` is what ``notify`` takes as its target.

    :param secret: what the notifications are signed with.
    """

    def __init__(self, secret: str) -> None:
        self.received: list[Notification] = []
        self.forged: list[str] = []
        """Why requests were turned away that carried no good signature."""
        self._webhook = Webhook(secret)
        self._refusals: list[int] = []
        self._arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/notifications"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True, name="notifications"
        )
        self._thread.start()

    def refuse(self, status: int = 503, *, times: int = 1) -> None:
        """Answer the next ones with this status instead of taking them."""
        self._refusals += [status] * times

    def wait(self, count: int = 1, *, timeout_seconds: float = 10.0) -> list[Notification]:
        """All that arrived, once there are so many.

        :raises TimeoutError: they do not come.
        """
        with self._arrived:
            if self._arrived.wait_for(lambda: len(self.received) >= count, timeout_seconds):
                return list(self.received)
        raise TimeoutError(
            f"{len(self.received)} of {count} notifications came in {timeout_seconds:g} s: "
            f"{[item.type for item in self.received]}; turned away: {self.forged or 'none'}."
        )

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        if self._refusals:
            return self._refusals.pop(0)
        # Malformed headers raise errors of many kinds, all of which mean: not ours.
        try:
            self._webhook.verify(body, headers)
            told = json.loads(body)
            found = Notification(id=headers["webhook-id"], type=told["type"], data=told["data"])
        except Exception as exc:
            self.forged.append(repr(exc))
            return 401
        with self._arrived:
            self.received.append(found)
            self._arrived.notify_all()
        return 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.send_response(take(headers, body))
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
