"""Terminals in which the commands of a page are typed; programs that stay on get one of their own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.fleet import environment
from support.pages import Block, blocks
from support.ports import free_port
from support.processes import wait_or_kill
from support.programs import missing
from support.redis_server import redis_binary
from support.waiting import wait_until

# How a program that stays on is started, and what it has written once it is there for others.
_STAYS = {
    "redis-server": "eady to accept connections",
    "mulequeue emulator": "mulequeue emulator on http://",
    "mulequeue webhooks": "mulequeue webhooks on http://",
    "uvicorn": "Uvicorn running on http://",
    r"celery -A \S+ worker .*INFO": " ready.",
    r"celery -A \S+ worker": "[queues]",
    "flask": "Running on http://",
    "python manage.py runserver": "Quit the server",
}


_MOST_SECONDS = 90.0


@contextmanager
def terminals_for(
    page: str, folder: Path, *ports: str, lay_out: bool = True
) -> Iterator[Terminals]:
    """Terminals in a folder, on free ports instead of the page's; what the programs said is shown.

    :param page: its path, seen from docs. :param lay_out: its files are in the folder.
    """
    for program in ("bash", "curl"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    terminals = Terminals(folder, {port: str(free_port()) for port in ports})
    for block in blocks(page) if lay_out else ():
        terminals.save(block)
    try:
        yield terminals
    finally:
        terminals.close()
        print(terminals.logs)


class Terminals:
    """Types the commands of a page in a folder.

    :param instead: texts of the page and what is typed instead: ports that may be taken.
    :param env: more environment of all of them.
    """

    def __init__(
        self, folder: Path, instead: dict[str, str], env: dict[str, str] | None = None
    ) -> None:
        self.folder, self._instead = folder, instead
        self._exports: list[str] = []
        self._running: list[tuple[subprocess.Popen[bytes], Path]] = []
        self._lines: list[str] = []
        # A page's `redis-server` may be the embedded one here.
        programs = folder / ".programs"
        programs.mkdir(exist_ok=True)
        (programs / "redis-server").symlink_to(redis_binary())
        path = os.pathsep.join(
            [str(Path(sys.executable).parent), str(programs), os.environ["PATH"]]
        )
        self._env = environment({"PATH": path, "PYTHONUNBUFFERED": "1", **(env or {})})

    def type(self, command: str) -> str:
        """What it says on standard output; of a program that stays on, until it is ready."""
        command = self.replaced(command)
        if command.startswith("pip install"):
            return ""
        if command.startswith("export "):
            self._exports.append(command)
            return ""
        line = "\n".join(["set -eu", *self._exports, command])
        for start, word in _STAYS.items():
            if re.match(start, command):
                return self._start(line, word)
        return self._run(command, line)

    def _run(self, command: str, line: str) -> str:
        """Until it ends; one that does not is ended with all it started, and what it said is shown."""
        process = subprocess.Popen(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            said, errors = process.communicate(timeout=_MOST_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            said, errors = process.communicate(timeout=30)
            pytest.fail(f"{command} did not end\n{said}{errors}\n{self.logs}")
        assert 0 == process.returncode, f"{command}\n{said}{errors}\n{self.logs}"
        return said

    def save(self, block: Block) -> None:
        """Put a block of the page that has a file's name into that file."""
        if block.name:
            file = self.folder / block.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.replaced(block.text))

    def replaced(self, text: str) -> str:
        """A text of the page as it is used here."""
        for old, new in self._instead.items():
            text = text.replace(old, new)
        return text

    def _start(self, line: str, word: str) -> str:
        log = self.folder / f"terminal-{len(self._running)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", line],
                cwd=self.folder,
                env=self._env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append((process, log))
        self._lines.append(line)

        def is_ready() -> bool:
            assert process.poll() is None, f"it ended:\n{log.read_text()}"
            return word in log.read_text(errors="replace")

        wait_until(is_ready, seconds=40, what=f"{word!r} of:\n{line}")
        return log.read_text()

    def kill(self, part: str) -> None:
        """SIGKILL to the first program whose command has this part, and to all it started."""
        self.signal(part, signal.SIGKILL).wait(10)

    def signal(self, part: str, number: signal.Signals) -> subprocess.Popen[bytes]:
        """Send a signal to the first program whose command has this part, and to all it started."""
        known = zip(self._lines, self._running, strict=True)
        process = next(process for line, (process, _) in known if self.replaced(part) in line)
        os.killpg(process.pid, number)
        return process

    def wait_for_text(self, text: str) -> None:
        """Until one of the programs that stay on has written that."""

        def is_written() -> bool:
            return any(text in log.read_text(errors="replace") for _, log in self._running)

        wait_until(is_written, seconds=60, what=f"{text!r} in a terminal")

    @property
    def logs(self) -> str:
        """What the programs that stay on have written."""
        return "\n".join(log.read_text(errors="replace")[-5000:] for _, log in self._running)

    def close(self) -> None:
        """Ctrl-C in all of them, one after the other: the last one is the first to go."""
        for process, _ in reversed(self._running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            wait_or_kill(process, 5, is_group=True)
