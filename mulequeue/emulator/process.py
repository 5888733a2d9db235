"""The emulator as a process of its own, for tests and the demo."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import urllib.parse
from types import TracebackType
from typing import Any, Self

_READY = "mulequeue emulator on "


class EmulatorProcess:
    """Starts ``python -m mulequeue.emulator`` on a free port and stops it again.

    The child watches its standard input and ends when this process does, however that happens::

        with EmulatorProcess(min_seconds=0.1, max_seconds=0.2) as emulator:
            emulator.faults(creates=[{"do": "hold"}])
            ...  # something POSTs to emulator.url
            emulator.wait(held_creates=1)
            emulator.release()

    :param min_seconds, max_seconds: how long a generation takes.
    :param port: of the API; 0: a free one.
    :param seed, require_key, scenario: as the command's options.
    :param faults: faults in force before this returns, as :meth:`faults` takes them.
    :raises RuntimeError: the program did not start; its own words are on standard error.
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
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mulequeue.emulator", "--exit-with-stdin", *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._ready()
        if faults:
            self.faults(**faults)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stats(self) -> dict[str, int]:
        """The counters by name."""
        return self._object("GET", "stats")

    def creates(self) -> list[dict[str, Any]]:
        """What creates sent, in order: ``[{path, body, remote_id}]``; remote_id None: refused."""
        return list(self._call("GET", "creates"))

    def generations(self) -> list[dict[str, Any]]:
        """``[{remote_id, api_path, status, prompt, polls, created, polled}]``; times: unix seconds."""
        return list(self._call("GET", "generations"))

    def faults(self, **faults: Any) -> dict[str, Any]:
        """Set these faults, leave the others; all of them come back.

        :raises ValueError: an unknown key or a wrong value, named with what is known.
        """
        return self._object("POST", "faults", faults)

    def reset_faults(self) -> None:
        """The faults it was started with; whoever is held goes on."""
        self._call("DELETE", "faults")

    def reset(self) -> None:
        """Forget generations, counters and faults."""
        self._call("POST", "reset")

    def release(self, kind: str | None = None, count: int | None = None) -> int:
        """Let held requests go on; how many that were.

        :param kind: ``creates``, ``polls`` or ``downloads``; None: all.
        :param count: how many, the longest held first; None: all.
        """
        return int(self._object("POST", "release", {"kind": kind, "count": count})["released"])

    def finish(self, remote_id: str) -> None:
        """End this generation now. Raises ValueError for an unknown one."""
        self._call("POST", "finish", {"remote_id": remote_id})

    def webhook(self, url: str, **endpoint: Any) -> dict[str, Any]:
        """Tell this URL of creations and ends; the endpoint as it is now, with its ``secret``.

        :param endpoint: the other fields of :class:`mulequeue.emulator.webhook_endpoints.Endpoint`.
        :raises ValueError: an unknown field or a wrong value.
        """
        return self._object("POST", "webhooks", {"url": url, **endpoint})

    def webhooks(self) -> list[dict[str, Any]]:
        """``[{delivery_id, event_id, type, url, answers}]``."""
        return list(self._object("GET", "webhooks")["deliveries"])

    def send_webhook(self, event: str = "balance.low", **data: Any) -> str:
        """Send an event of your own making; its id."""
        body = {"type": event, "data": data} if data else {"type": event}
        return str(self._object("POST", "send", body)["id"])

    def wait(self, *, timeout_seconds: float = 30.0, **counters: int) -> dict[str, int]:
        """Wait until every counter named has reached its value; the counters then.

        :raises TimeoutError: it took longer; the text has the counters.
        """
        query = urllib.parse.urlencode({**counters, "timeout": timeout_seconds})
        return self._object("GET", f"wait?{query}", patience_seconds=timeout_seconds + 30)

    def stop(self) -> None:
        """End the process; once is enough, twice does no harm."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _ready(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith(_READY):
            self.stop()
            raise RuntimeError(f"The emulator did not start (exit {self._process.returncode}).")
        return line.removeprefix(_READY).strip()

    def _object(self, method: str, path: str, body: Any = None, **more: float) -> dict[str, Any]:
        return dict(self._call(method, path, body, **more))

    def _call(
        self, method: str, path: str, body: Any = None, patience_seconds: float = 60.0
    ) -> Any:
        # http.client knows no proxy settings, which must not come between a test and its server.
        where = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(
            where.hostname or "", where.port, timeout=patience_seconds
        )
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"/_emulator/{path}", sent)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status == 408:
            raise TimeoutError(f"The emulator waited in vain for {path}: {answer}")
        if response.status >= 400:
            raise ValueError(answer["error"])
        return answer
