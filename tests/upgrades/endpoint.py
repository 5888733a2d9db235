"""The API, the asset host and the user's server in one, at an address that stays the same.

Records hold a fingerprint of the API's address, outcomes the addresses of their assets, and parked
signatures the address to notify. What one version wrote down is read by another one years later, so
these addresses cannot be free ports.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from support.waiting import wait_until

PORT = 17077
"""Below the ports that systems give out, so that only a second run of this test may have it."""
URL = f"http://127.0.0.1:{PORT}"
PATH = "/vendors/alibaba/v1/wan2.6-t2i/generation"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(64)


def remote_id_of(prompt: str) -> str:
    """The id of the generation that is made of a prompt."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, prompt))


class Endpoint:
    """Counts what it is asked; what it answers depends on the prompt.

    :param behaviour: prompt -> ``never`` (ends), ``fails``, ``refused`` (429), ``lost`` (500 to the
        create), ``held`` (the create is not answered), ``asset`` (the picture never comes). Another
        prompt is completed at the first status check. A hook of one of these names answers 503.
    """

    def __init__(self, behaviour: Mapping[str, str] | None = None) -> None:
        self.behaviour = dict(behaviour or {})
        self.creates: list[str] = []
        """The prompts of all creates but those that were refused, in order."""
        self.asked: set[str] = set()
        """The prompts whose status or picture was asked for; ids of another time as they are."""
        self.notified: list[tuple[str, str]] = []
        """The hook's name and the notification's id, of every one that was accepted."""
        self.refused: set[str] = set()
        """Creates and notifications that were refused, by prompt and hook."""
        self._prompts: dict[str, str] = {}
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        self._server = wait_until(self._bind, seconds=120, what=f"port {PORT} to be free")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _bind(self) -> ThreadingHTTPServer | None:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                endpoint._answer(self, *endpoint._get(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.startswith("/hook/"):
                    answer = endpoint._notified(self.path[6:], self.headers["webhook-id"])
                else:
                    answer = endpoint._create(json.loads(body)["prompt"])
                endpoint._answer(self, *answer)

            def log_message(self, *_: Any) -> None:
                pass

        try:
            return ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
        except OSError:
            return None

    def _answer(self, handler: BaseHTTPRequestHandler, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        kind = "image/png" if isinstance(body, bytes) else "application/json"
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        if status == 429:
            handler.send_header("Retry-After", "20")
        with contextlib.suppress(ConnectionError):  # of a worker that was killed meanwhile
            handler.end_headers()
            handler.wfile.write(data)

    def _create(self, prompt: str) -> tuple[int, Any]:
        behaviour = self.behaviour.get(prompt)
        if behaviour == "refused":
            self.refused.add(prompt)
            return 429, {"status": 429, "title": "Too Many Requests"}
        self.creates.append(prompt)
        if behaviour == "held":
            self._closing.wait(120)
        if behaviour == "lost":
            return 500, {"status": 500, "title": "Internal Server Error"}
        remote_id = remote_id_of(prompt)
        self._prompts[remote_id] = prompt
        return 202, {"task_info": {"id": remote_id, "status": "pending"}}

    def _get(self, path: str) -> tuple[int, Any]:
        remote_id = path.rpartition("/")[2].removesuffix(".png")
        prompt = self._prompts.get(remote_id, remote_id)
        behaviour = self.behaviour.get(prompt)
        self.asked.add(prompt)
        if path.startswith("/assets/"):
            if behaviour == "asset":
                self._closing.wait(120)
            return 200, PICTURE
        info: dict[str, Any] = {"id": remote_id, "status": "completed"}
        if behaviour == "never":
            return 200, {"task_info": {**info, "status": "processing"}}
        if behaviour == "fails":
            error = {"code": 2001, "title": "Failed", "detail": "It did not work out."}
            return 200, {"task_info": {**info, "status": "failed", "error": error}}
        kind = "videos" if "i2v" in path else "images"
        return 200, {"task_info": info, kind: [f"{URL}/assets/{remote_id}.png"]}

    def _notified(self, hook: str, notification_id: str) -> tuple[int, Any]:
        if self.behaviour.get(hook) == "unavailable":
            self.refused.add(hook)
            return 503, {}
        self.notified.append((hook, notification_id))
        return 200, {}
