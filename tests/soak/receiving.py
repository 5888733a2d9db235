"""The servers beside the fleet: for the API's webhooks, and for the user's notifications."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from support.fleet import Fleet
from support.redis_server import free_port
from support.webhook import WEBHOOK_SECRET


class WebhookServer:
    """``mulequeue webhooks``, and the emulator telling it of everything twice and out of order.

    :param is_told: False: the emulator sends none.
    """

    def __init__(self, fleet: Fleet, *, is_told: bool = True) -> None:
        port = free_port()
        self._log = (fleet.folder / "webhooks.log").open("ab")
        command = [sys.executable, "-m", "mulequeue", "webhooks", "--port", str(port)]
        env = {**fleet.env, "MULEQUEUE_WEBHOOK_SECRET": WEBHOOK_SECRET}
        given: dict[str, Any] = {"env": env, "cwd": fleet.folder, "stdout": self._log}
        self._process = subprocess.Popen(command, stderr=subprocess.STDOUT, **given)
        url = f"http://127.0.0.1:{port}/webhooks/mulerouter"
        if is_told:
            fleet.emulator.webhook(url, secret=WEBHOOK_SECRET, copies=2, reorder=True)

    def pause(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._process.poll() is None:
            self.resume()
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()
