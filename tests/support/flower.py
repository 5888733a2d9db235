"""The real Flower beside a fleet, asked over HTTP as a browser or a script would."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import requests

from support.fleet import Fleet
from support.ports import free_port
from support.processes import wait_or_kill
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
        wait_or_kill(self._process, 15)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class FlowerPages:
    """Flower's pages in Chromium, with pictures of them in ``FLOWER_SCREENSHOTS``, to be looked at."""

    def __init__(self, flower: Flower, page: Any) -> None:
        self._url, self.page = flower.url, page

    def rows(self) -> list[list[str]]:
        """The page of tasks as a person reads it: the cells of each row."""
        self.page.goto(f"{self._url}/tasks")
        self.page.get_by_role("combobox").select_option("100")
        self.page.get_by_text(re.compile(r"Showing 1 to (\d+) of \1 tasks")).wait_for()
        cells = "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"
        return list(self.page.locator("#tasks-table tbody tr").evaluate_all(cells))

    def task(self, task_id: str) -> str:
        """What the page of one task says."""
        self.page.goto(f"{self._url}/task/{task_id}")
        return str(self.page.locator("body").inner_text())

    def screenshot(self, name: str) -> None:
        """The page that is open, narrow and wide."""
        folder = os.environ.get("FLOWER_SCREENSHOTS")
        for width in (390, 1440) if folder else ():
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.reload(wait_until="networkidle")  # it measures its columns only once
            self.page.screenshot(path=Path(str(folder)) / f"{name}-{width}.png", full_page=True)
