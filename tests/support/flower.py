"""The real Flower beside a fleet, asked over HTTP as a browser or a script would."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import requests

from support.fleet import Fleet
from support.redis_server import free_port
from support.waiting import wait_until

PAGES = ("/", "/workers", "/tasks", "/broker", "/metrics", "/api/tasks", "/api/workers?refresh=1")


class Flower:
    """``celery -A mulequeue flower`` on a free port, with a ``flowerconfig.py`` in its folder.

    :param command: what starts it; the port is given by the environment.
    """

    def __init__(self, fleet: Fleet, command: str = "celery -A mulequeue flower") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = fleet.folder / "flower.log"
        program, *options = shlex.split(command)
        assert "celery" == program
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", *options],
                cwd=fleet.folder,
                env={
                    **fleet.env,
                    "FLOWER_PORT": str(self.port),
                    "FLOWER_ADDRESS": "127.0.0.1",
                    "FLOWER_UNAUTHENTICATED_API": "true",
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(self._listens, what="Flower to hear the workers")
        except BaseException:
            self.stop()
            raise

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        try:
            return "flower_worker_online{" in self.text("/metrics")
        except requests.ConnectionError:
            return False

    def text(self, path: str) -> str:
        """What a page shows."""
        answer = requests.get(self.url + path, timeout=30)
        assert 200 == answer.status_code, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.text

    def tasks(self, name: str) -> dict[str, dict[str, Any]]:
        """What the JSON API says of the tasks of that name, by id."""
        answer = requests.get(f"{self.url}/api/tasks", params={"taskname": name}, timeout=30)
        return dict(answer.json())

    def table(self) -> list[dict[str, Any]]:
        """The rows of the page of tasks, as its table loads them."""
        query = {"draw": 1, "start": 0, "length": 1000, "order[0][column]": 0}
        query |= {"order[0][dir]": "asc", "columns[0][data]": "name", "search[value]": ""}
        answer = requests.get(f"{self.url}/tasks/datatable", params=query, timeout=30)
        return list(answer.json()["data"])

    def events(self) -> dict[str, int]:
        """How many events came, by ``task type``."""
        counts: dict[str, int] = {}
        for line in self.text("/metrics").splitlines():
            if line.startswith("flower_events_total{"):
                labels, _, count = line.partition("{")[2].rpartition("} ")
                given = dict(part.split("=", 1) for part in labels.split(","))
                what = f"{given['task']} {given['type']}".replace('"', "").strip()
                counts[what] = counts.get(what, 0) + int(float(count))
        return counts

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def screenshot(url: str, file: Path) -> None:
    """A page as headless Chromium draws it, to be looked at: ``FLOWER_SCREENSHOTS=folder``."""
    folder = os.environ.get("FLOWER_SCREENSHOTS")
    if folder:
        command = "chromium --headless --no-sandbox --disable-gpu --window-size=1500,1100"
        command += f" --virtual-time-budget=6000 --screenshot={Path(folder) / file} {url}"
        subprocess.run(shlex.split(command), check=True, capture_output=True)
