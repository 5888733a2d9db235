"""``honcho start`` in a clone, as howto/scaling.md has it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
import yaml
from support.fleet import KEY, environment
from support.orders import Person
from support.pages import blocks
from support.ports import free_port
from support.redis_server import RedisServer
from support.waiting import wait_until

from mulequeue.emulator.process import EmulatorProcess

ROOT = Path(__file__).parents[2]
READY = {
    "web": "Listening at: http://127.0.0.1:",
    "worker": " ready.",
    "poller": " ready.",
    "transfer": " ready.",
    "flower": "Visit me at",
    "exporter": "mulequeue exporter on ",
}


class Honcho:
    """The command of the page, in the root of the checkout."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        (self.command,) = (
            command
            for block in blocks("howto/scaling.md")
            for command in block.commands
            if command.startswith("honcho")
        )
        self._log = log
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                self.command.split(),
                cwd=ROOT,
                env={**env, "PATH": path, "PYTHONUNBUFFERED": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def text(self) -> str:
        return self._log.read_text(errors="replace")

    def said(self, name: str) -> str:
        """What one of its processes wrote."""
        lines = (line for line in self.text.splitlines() if f" {name}.1" in line)
        return "\n".join(lines)

    def wait_ready(self) -> None:
        for name, word in READY.items():

            def is_ready(name: str = name, word: str = word) -> bool:
                assert self.process.poll() is None, self.text
                return word in self.said(name)

            wait_until(is_ready, seconds=90, what=f"{name} to be ready")


def test_the_commands_of_scaling_md() -> None:
    """They are those that are run here and, as processes, in test_docker.py; its files exist. There is no
    cluster to run those of kubectl."""
    commands = [command for block in blocks("howto/scaling.md") for command in block.commands]
    assert [
        "export MULEQUEUE_TRANSFER_QUEUE=transfers",
        'pip install -e ".[fleet]"',
        "honcho start",
        "docker compose -f docker/compose.yaml --env-file docker/emulator.env up",
    ] == [command for command in commands if not command.startswith("kubectl ")]
    assert all(
        (ROOT / f"docker/{name}").exists()
        for name in ("compose.yaml", "emulator.env", "kubernetes")
    )


def test_the_systemd_unit_runs_the_worker_of_compose() -> None:
    """Same options, same time to stop, and SIGTERM to the first process alone."""
    (unit,) = (it.text for it in blocks("howto/scaling.md") if (it.name or "").endswith(".service"))
    options = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    text = (ROOT / "docker/compose.yaml").read_text()
    worker = yaml.safe_load(re.sub(r"\$\{[^}]*\}", "x", text))["services"]["worker"]

    assert worker["command"][3:] == options["ExecStart"].replace("%%", "%").split()[3:]
    assert worker["stop_grace_period"] == f"{options['TimeoutStopSec']}s"
    assert "mixed" == options["KillMode"]


@pytest.fixture
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(min_seconds=0.5, max_seconds=1.5) as running:
        yield running


def test_the_fleet_of_the_procfile(
    tmp_path: Path, redis_server: RedisServer, emulator: EmulatorProcess
) -> None:
    """Everything comes up, an album is made, each process does its own part, Ctrl-C ends all."""
    ports = {name: str(free_port()) for name in ("PORT", "FLOWER_PORT", "EXPORTER_PORT")}
    given = {
        "MULEQUEUE_REDIS_URL": redis_server.url,
        "MULEROUTER_API_KEY": KEY,
        "MULEROUTER_BASE_URL": emulator.url,
        "GALLERY_DATA": str(tmp_path / "data"),
    }
    honcho = Honcho(environment({**given, **ports}), tmp_path / "honcho.log")
    try:
        honcho.wait_ready()
        person = Person(f"http://127.0.0.1:{ports['PORT']}")
        album = person.order([f"mule {number}" for number in range(5)])
        pictures = person.pictures(album, 5)

        assert all(picture.startswith(b"\x89PNG") for picture in pictures)
        assert (5, 0) == (emulator.stats()["created"], emulator.stats()["duplicates"])
        assert "mulequeue.poll" in honcho.said("poller")
        assert "mulequeue.poll" not in honcho.said("worker").partition(" ready.")[2]
        # The delivery that returns a member's outcome stores its files.
        assert 5 == len(
            set(re.findall(r"mulequeue\.generate\[(\S+)\] received", honcho.said("transfer")))
        )
        flower = requests.get(f"http://127.0.0.1:{ports['FLOWER_PORT']}/metrics", timeout=30).text
        assert 3 == flower.count("flower_worker_online{")
        exporter = requests.get(f"http://127.0.0.1:{ports['EXPORTER_PORT']}/metrics", timeout=30)
        assert 'status="succeeded"} 5.0' in exporter.text
    finally:
        family = psutil.Process(honcho.process.pid).children(recursive=True)
        honcho.process.send_signal(signal.SIGINT)
        honcho.process.wait(60)
        _, alive = psutil.wait_procs(family, timeout=30)
        print(honcho.text[-20_000:])

    assert [] == alive
