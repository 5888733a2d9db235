"""The page about the emulator, as a user follows it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from support.pages import DOCS, blocks
from support.ports import free_port

from mulequeue.emulator.faults import Burst, Faults, Life
from mulequeue.emulator.webhook_endpoints import Endpoint

pytest.importorskip("PIL", reason='needs pip install "mulequeue[demo]"')
pytest.importorskip("av", reason='needs pip install "mulequeue[demo]"')

PAGE = "howto/emulator.md"
_READY = "mulequeue emulator on http://127.0.0.1:{port}\n"


class Terminal:
    """Types the page's commands: what exports a variable is remembered, the emulator stays on.

    :param folder: where it is.
    :param port: instead of the page's own, which somebody may be using.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.exports: list[str] = []
        self.emulator: subprocess.Popen[str] | None = None
        self.env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def type(self, command: str) -> str:
        """What it says on standard output."""
        if command.startswith("mulequeue emulator"):
            return self._start(command)
        if command.startswith("pip install"):
            return ""
        if command.startswith("export "):
            self.exports.append(command)
        line = "\n".join(["set -eu", *self.exports, command])
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert 0 == done.returncode, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _start(self, command: str) -> str:
        self.stop()
        self.emulator = subprocess.Popen(
            command.split(), cwd=self.folder, env=self.env, stdout=subprocess.PIPE, text=True
        )
        return self.emulator.stdout.readline()

    def stop(self) -> None:
        if self.emulator is not None:
            self.emulator.terminate()
            self.emulator.wait(20)
            self.emulator.stdout.close()


@pytest.fixture
def terminal(tmp_path):
    """A terminal in an empty folder."""
    for program in ("bash", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    terminal = Terminal(tmp_path, free_port())
    if shutil.which("mulequeue", path=terminal.env["PATH"]) is None:
        pytest.skip("the mulequeue command is not installed")
    yield terminal
    terminal.stop()


def test_every_command_of_the_page_works(terminal):
    """In order, with the files of the page in place, and with the output that it shows."""
    said = []
    for block in blocks(PAGE):
        text = block.text.replace("8787", str(terminal.port))
        if block.name:
            (terminal.folder / block.name).write_text(text)
        shown = [line for line in text.splitlines() if not line.startswith("$ ")]
        output = [terminal.type(c.replace("8787", str(terminal.port))) for c in block.commands]
        if block.commands and shown:
            assert shown == output[-1].splitlines()
        said += output

    assert 2 == said.count(_READY.format(port=terminal.port))
    assert 1 == len(list((terminal.folder / "pictures").rglob("*.png")))
    assert any('"status": "pending"' in output for output in said)
    assert any('"webhook_attempts": 0' in output for output in said)
    assert any('"secret": "whsec_' in output for output in said)


def test_the_python_of_the_page_works(tmp_path):
    """It prints an address and a count."""
    (code,) = [block.text for block in blocks(PAGE) if block.language == "python"]

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.startswith("http://127.0.0.1:"), done.stderr
    assert done.stdout.endswith(" 0\n")


@pytest.mark.parametrize("kind", [Burst, Life, Faults, Endpoint])
def test_the_page_names_everything_that_a_scenario_knows(kind):
    """No key of a scenario is missing on the page."""
    text = (DOCS / PAGE).read_text()

    missing = [item.name for item in fields(kind) if f"`{item.name}`" not in text]

    assert [] == [name for name in missing if f'"{name}"' not in text]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"lives": [', "Expecting value: line 1 column 12"),
        ('["lives"]', "faults must be a JSON object"),
        ('{"livs": []}', "faults has no key 'livs'. Known: vocabulary, error_position"),
        (
            '{"webhooks": [{"url": "http://x", "key": "hex"}]}',
            "faults.webhooks[0].key must be one of as_given, decoded, not 'hex'.",
        ),
        ('{"lives": [{"seconds": "2"}]}', "faults.lives[0].seconds must be a number, not '2'"),
        ('{"webhooks": [{"url": "x"}]}', "faults.webhooks[0].url must start with http"),
    ],
)
def test_a_mistake_in_a_scenario_is_told_with_its_place(tmp_path, text, words):
    """Exit 2, the file, the place and what is known; nothing starts."""
    file = tmp_path / "scenario.json"
    file.write_text(text)

    done = subprocess.run(
        [sys.executable, "-m", "mulequeue.emulator", "--port", "0", "--scenario", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert str(file) in done.stderr
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
