"""A Prometheus of the test's own, on a free loopback port."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from support.ports import free_port
from support.programs import program
from support.waiting import wait_until

INTERVAL = "1s"
"""Between two scrapes."""


@dataclass(frozen=True)
class Prometheus:
    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now."""
        return list(self._get("query", query=expression)["result"])

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Any]:
        """The series that an expression gives over a time."""
        found = self._get("query_range", query=expression, start=start, end=end, step=step)
        return list(found["result"])

    def _get(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30)
        assert answer.ok, f"{parameters}: {answer.text}"
        return dict(answer.json()["data"])


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """Run it with one target.

    :param folder: of its data, its configuration and its log.
    :param target: host and port.
    """
    address = f"127.0.0.1:{free_port()}"
    job = {"job_name": "mulequeue", "static_configs": [{"targets": [target]}]}
    config = {"global": {"scrape_interval": INTERVAL}, "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        program("prometheus", "apt install prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        found = Prometheus(f"http://{address}")
        wait_until(lambda: _is_ready(found.url), seconds=30, what="Prometheus to be ready")
        yield found
    finally:
        process.terminate()
        process.wait(20)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=5).ok
    except requests.ConnectionError:
        return False
