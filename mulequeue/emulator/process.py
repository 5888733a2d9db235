"""The emulator in a child process, for tests and the demo."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import urllib.parse
from typing import Any, Self

from mulequeue.emulator.child_process import Child

_READY = "mulequeue emulator on "


class EmulatorProcess:
    """Starts ``python -m mulequeue.emulator`` on a free port and stops it again.

    The child ends with this process, even when this process is killed::

        with EmulatorProcess(min_seconds=0.1, max_seconds=0.2) as emulator:
            emulator.faults(creates=[{"do": "hold"}])
            ...  # something POSTs to emulator.url
            emulator.wait(held_creates=1)
            emulator.release()

    :param min_seconds, max_seconds: shortest and longest duration of a generation.
    :param port: port of the API; 0: a free port.
    :param seed, require_key, scenario: the options of ``mulequeue emulator`` with these names.
    :param faults: set after the start, as by :meth:`faults`. :meth:`reset_faults` and :meth:`reset` remove them.
    :raises RuntimeError: the program did not start; its error is on standard error.
    """

    def __init__(
        self,
        *,
        min_seconds: float = 2.0,
        max_seconds: float = 5.0,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int | None = None,
        require_key: str | None = None,
        scenario: str | None = None,
        faults: dict[str, Any] | None = None,
    ) -> None:
        options = {
            "--host": host,
            "--port": port,
            "--min-seconds": min_seconds,
            "--max-seconds": max_seconds,
            "--seed": seed,
            "--require-key": require_key,
            "--scenario": scenario,
        }
        given = [f"{name}={value}" for name, value in options.items() if value is not None]
        command = [sys.executable, "-m", "mulequeue.emulator", *given]
        self._child = Child("emulator", command, output=subprocess.PIPE, errors=None)
        self.url = self._read_url()
        if faults:
            self.faults(**faults)

    def stats(self) -> dict[str, int]:
        """Return the counters by name."""
        return self._object("GET", "stats")

    def creates(self) -> list[dict[str, Any]]:
        """Return the received creates in order: ``[{path, body, remote_id, at}]``.

        ``remote_id`` is None for a rejected create; ``at`` is the arrival in unix seconds.
        """
        return list(self._call("GET", "creates"))

    def generations(self) -> list[dict[str, Any]]:
        """Return ``[{remote_id, api_path, status, prompt, polls, created, polled, ended}]``.

        The last three are unix seconds: of the create, of each poll, and of the end (None while it runs).
        """
        return list(self._call("GET", "generations"))

    def faults(self, **faults: Any) -> dict[str, Any]:
        """Set these faults, keep the others, and return all of them.

        :raises ValueError: a key is unknown or a value is invalid; for an unknown key the text lists the valid ones.
        """
        return self._object("POST", "faults", faults)

    def reset_faults(self) -> None:
        """Restore the faults of ``scenario`` and ``require_key``, and release held requests."""
        self._call("DELETE", "faults")

    def reset(self) -> None:
        """Delete generations, creates and webhook deliveries, and reset counters and faults."""
        self._call("POST", "reset")

    def release(self, kind: str | None = None, count: int | None = None) -> int:
        """Release held requests and return their number.

        :param kind: ``creates``, ``polls`` or ``downloads``; None: all.
        :param count: the number of requests, the longest held first; None: all.
        """
        return int(self._object("POST", "release", {"kind": kind, "count": count})["released"])

    def finish(self, remote_id: str) -> None:
        """End this generation now.

        :raises ValueError: there is no such generation.
        """
        self._call("POST", "finish", {"remote_id": remote_id})

    def webhook(self, url: str, **endpoint: Any) -> dict[str, Any]:
        """Add an endpoint that receives webhooks at this URL; return it, including its ``secret``.

        :param endpoint: the other fields of :class:`mulequeue.emulator.webhook_endpoints.Endpoint`.
        :raises ValueError: a field is unknown or has an invalid value.
        """
        return self._object("POST", "webhooks", {"url": url, **endpoint})

    def webhooks(self) -> list[dict[str, Any]]:
        """Return the deliveries: ``[{delivery_id, event_id, type, url, answers}]``."""
        return list(self._object("GET", "webhooks")["deliveries"])

    def send_webhook(self, event: str = "balance.low", **data: Any) -> str:
        """Send an event to the endpoints and return its id. Without ``data`` it is that of a low balance."""
        body = {"type": event, "data": data} if data else {"type": event}
        return str(self._object("POST", "send", body)["id"])

    def wait(self, *, timeout_seconds: float = 30.0, **counters: int) -> dict[str, int]:
        """Wait until each named counter has reached its value, then return all counters.

        :raises TimeoutError: a counter did not reach its value; the text has the counters.
        :raises ValueError: there is no counter of that name.
        """
        query = urllib.parse.urlencode({**counters, "timeout": timeout_seconds})
        return self._object("GET", f"wait?{query}", timeout_seconds=timeout_seconds + 30)

    def stop(self) -> None:
        """Stop the process and wait until it has ended; a second call does nothing."""
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read_url(self) -> str:
        process = self._child.process
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        if not line.startswith(_READY):
            self.stop()
            raise RuntimeError(f"The emulator did not start (exit {process.returncode}).")
        return line.removeprefix(_READY).strip()

    def _object(self, method: str, path: str, body: Any = None, **more: float) -> dict[str, Any]:
        return dict(self._call(method, path, body, **more))

    def _call(self, method: str, path: str, body: Any = None, timeout_seconds: float = 60.0) -> Any:
        # http.client ignores proxy settings, which must not apply between a test and its server.
        address = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=timeout_seconds
        )
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"/_emulator/{path}", sent)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status == 408:
            raise TimeoutError(f"The counters did not reach {path}: {answer}")
        if response.status >= 400:
            raise ValueError(answer["error"])
        return answer
