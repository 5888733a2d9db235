"""docker/compose.yaml without Docker: its services as processes of this machine.

Commands, environments and health checks are those of the file; only what a container has of its own
(host names, ports, folders) is replaced by what there is here.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.fleet import environment
from support.ports import free_port

ROOT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:[-?])([^}]*))?\})")
PORTS = (5000, 5555, 6379, 8786, 8787, 8789, 9090)
_PORT = re.compile(rf"\b(?:{'|'.join(map(str, PORTS))})\b")


def read_variables(file: Path) -> dict[str, str]:
    """An env file: ``NAME=value``, one a line."""
    lines = (line.partition("=") for line in file.read_text().splitlines() if line[:1] not in "#")
    return {name: value for name, _, value in lines}


def resolved(value: Any, variables: dict[str, str]) -> Any:
    """``${NAME}``, ``${NAME:-default}``, ``${NAME:?why}`` and ``$$`` as Compose reads them.

    :raises KeyError: a variable that has to be set is not.
    """
    if isinstance(value, dict):
        return {key: resolved(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def put(found: re.Match[str]) -> str:
        dollar, name, how, rest = found.groups()
        if dollar:
            return "$"
        if variables.get(name):
            return variables[name]
        if how == ":?":
            raise KeyError(f"{name}: {rest}")
        return str(rest or "")

    return _VARIABLE.sub(put, value)


def image_environment() -> dict[str, str]:
    """What the Dockerfile's ENV gives to every process, but for the PATH."""
    (text,) = re.findall(r"^ENV ((?:.*\\\n)*.*)", (ROOT / "docker/Dockerfile").read_text(), re.M)
    pairs = dict(part.split("=", 1) for part in shlex.split(text.replace("\\\n", " ")))
    return {name: value for name, value in pairs.items() if name != "PATH"}


@dataclass
class Compose:
    """The services of the file, and those that run.

    :param folder: stands for the volumes.
    :param variables: those of the env file.
    """

    folder: Path
    variables: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        text = (ROOT / "docker/compose.yaml").read_text()
        self.services: dict[str, dict[str, Any]] = resolved(
            yaml.safe_load(text)["services"], self.variables
        )
        self._ports = {str(port): str(free_port()) for port in PORTS}
        self._secrets = ROOT / "docker" / self.variables["SECRETS_FOLDER"]
        for name in ("prometheus.yml", "alerts.yml"):
            (self.folder / name).write_text(self._here((ROOT / "docker" / name).read_text()))

    def port(self, port: int) -> str:
        """The one that stands for a container's."""
        return self._ports[str(port)]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def start(self, name: str) -> None:
        """Run the command of a service; servers get the port and folder of this machine as well."""
        service = self.services[name]
        command = [self._here(part) for part in service["command"]]
        if name == "redis":
            command += ["--port", self.port(6379), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        if name == "prometheus":  # the image's entry point
            command = ["prometheus", *command, f"--web.listen-address=127.0.0.1:{self.port(9090)}"]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment(name),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_healthy(self, name: str) -> bool:
        """Whether the health check of a service says so."""
        assert self.running[name].poll() is None, self.log(name)
        service = self.services[name]
        kind, *command = service["healthcheck"]["test"]
        command = [self._here(part) for part in command]
        if command[0] == "redis-cli":
            command[1:1] = ["-p", self.port(6379)]
        done = subprocess.run(
            command if kind == "CMD" else ["sh", "-c", *command],
            cwd=ROOT,
            env=self._environment(name),
            capture_output=True,
            timeout=60,
        )
        return done.returncode == 0

    def stop(self, name: str) -> int:
        """SIGTERM to its first process alone, and its grace period; the exit code.

        :raises subprocess.TimeoutExpired: it took longer, and would have been killed.
        """
        process = self.running.pop(name)
        process.terminate()
        return process.wait(int(self.services[name]["stop_grace_period"].removesuffix("s")))

    def kill(self) -> None:
        """End whatever still runs."""
        for process in self.running.values():
            process.kill()
            process.wait()

    def _environment(self, name: str) -> dict[str, str]:
        given = {**image_environment(), **self.services[name].get("environment", {})}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # Empty is what Compose passes for a variable that is not set.
        ctx = {variable: self._here(value) for variable, value in given.items()}
        ctx["MULEQUEUE_LIVENESS_FILE"] = str(self.folder / f"{name}.alive")  # /tmp is not its own
        return environment({**ctx, "PATH": path})

    def _here(self, text: str) -> str:
        """A text of a container as it is on this machine."""
        text = _PORT.sub(lambda found: self._ports[found[0]], text)
        text = re.sub(r"\b(?:redis|emulator|exporter)(?=:\d)", "127.0.0.1", text)
        text = text.replace("0.0.0.0", "127.0.0.1").replace("/etc/redis.conf", "docker/redis.conf")
        text = text.replace("/run/secrets", str(self._secrets))
        text = re.sub(r"(?<==)/(?:etc/)?prometheus\b", str(self.folder), text)
        return re.sub(r"^/data\b", str(self.folder / "data"), re.sub(r"^/app\b", str(ROOT), text))
