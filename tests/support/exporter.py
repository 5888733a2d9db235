"""``mulequeue exporter`` beside a fleet, read as Prometheus reads it."""

from __future__ import annotations

import subprocess
import sys
from typing import Self

import requests
from prometheus_client.parser import text_string_to_metric_families

from support.fleet import Fleet

READY = "mulequeue exporter on "


class Exporter:
    """The program.

    :param options: of the command; none: a free port.
    """

    def __init__(self, fleet: Fleet, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mulequeue", "exporter", *(options or ("--port", "0"))],
            cwd=fleet.folder,
            env=fleet.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith(READY), line
        self.url = line.removeprefix(READY).strip()

    def text(self) -> str:
        """What it answers."""
        return requests.get(self.url, timeout=30).text

    def values(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Name of a sample -> its labels' values, sorted by label -> number."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                labels = tuple(sample.labels[name] for name in sorted(sample.labels))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        self._process.terminate()
        code = self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self.stop()
