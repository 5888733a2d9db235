"""``mulequeue webhooks`` beside a fleet, and an API that tells it of everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any, Self

import requests

from support.fleet import Fleet
from support.ports import free_port
from support.processes import wait_or_kill
from support.waiting import wait_until
from support.webhook import WEBHOOK_SECRET

HARD = {"copies": 2, "reorder": True, "attempts": 20}
"""Everything twice, the creation after the end, and again until it is taken."""


class WebhookServer:
    """The process, and the emulator that tells it.

    :param told: how it is told (:class:`mulequeue.emulator.webhook_endpoints.Endpoint`); None: not at all.
    """

    def __init__(self, fleet: Fleet, told: dict[str, Any] | None) -> None:
        self._fleet = fleet
        port = free_port()
        self._log = (fleet.folder / "webhooks.log").open("ab")
        command = [sys.executable, "-m", "mulequeue", "webhooks", "--port", str(port)]
        env = {**fleet.env, "MULEQUEUE_WEBHOOK_SECRET": WEBHOOK_SECRET}
        given: dict[str, Any] = {"env": env, "cwd": fleet.folder, "stdout": self._log}
        self._process = subprocess.Popen(command, stderr=subprocess.STDOUT, **given)
        self._url = f"http://127.0.0.1:{port}/webhooks/mulerouter"
        if told is not None:
            fleet.emulator.webhook(self._url, secret=WEBHOOK_SECRET, **told)

    def wait_ready(self) -> None:
        """Until it listens."""

        def ready() -> bool:
            try:
                return requests.get(self._url, timeout=5).ok
            except requests.ConnectionError:
                return False

        wait_until(ready, what="the server for webhooks")

    def wait_told(self) -> None:
        """Until it has taken a webhook."""

        def told() -> bool:
            return any(200 in item["answers"] for item in self._fleet.emulator.webhooks())

        wait_until(told, what="a webhook to be taken")

    def pause(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._process.poll() is None:
            self.resume()
            self._process.terminate()
            wait_or_kill(self._process, 10)
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
