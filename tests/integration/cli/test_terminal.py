"""The command line on a terminal of eighty columns."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest
from rich.cells import cell_len
from support.fleet import Fleet
from support.program import command

MODEL = "alibaba/wan2.6-t2i"
PROMPT = "a mule that carries a parcel over the highest pass of the mountains at dawn, in oil " * 2
COLUMNS = 80
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WHOLE = re.compile(r"[!-~]{40}|^  mulequeue ")


def on_a_terminal(fleet: Fleet, *arguments: str) -> tuple[int, list[str]]:
    """The exit code, and every line that was written, also those that were written over."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    env = {**fleet.env, "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "CI"):
        env.pop(name, None)
    process = subprocess.Popen(
        command(*arguments),
        env=env,
        cwd=fleet.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    while part := _read(ours):
        written += part
    os.close(ours)
    lines = re.split(r"[\r\n]+", _CONTROL.sub("", written.decode()))
    return process.wait(30), lines


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # its last user is gone
        return b""


def too_long(lines: list[str]) -> list[str]:
    """Lines that the terminal would break, but for what is to be copied whole."""
    return [line for line in lines if cell_len(line) > COLUMNS and not _WHOLE.search(line)]


@pytest.fixture
def busy(fleet: Fleet) -> Fleet:
    """A fleet where a batch of long prompts has been made, and one of them failed."""
    fleet.emulator.faults(
        lives=[{"contains": "bad", "end": "failed", "code": 3001, "detail": "Not this one. " * 9}]
    )
    fleet.worker("-P", "threads", "-c", "2")
    (fleet.folder / "p.txt").write_text(f"{PROMPT}\n{PROMPT}\nbad {PROMPT}\n")
    return fleet


def test_nothing_is_wider_than_the_terminal(busy: Fleet) -> None:
    """The live picture of a batch, its snapshot, lists, one generation, the doctor and errors."""
    code, picture = on_a_terminal(busy, "batch", "p.txt", "--batch-id", "b", "--param", "n=1")
    written = picture
    for arguments in (
        ("status",),
        ("status", "b"),
        ("status", "b", "--follow"),
        ("status", "b-000002"),
        ("status", "nobody-knows-this-one-at-all"),
        ("list",),
        ("list", "--batches"),
        ("doctor",),
    ):
        _, lines = on_a_terminal(busy, *arguments)
        assert "".join(lines)
        written = [*written, *lines]

    assert 1 == code
    assert [] == too_long(written)
    assert any("● 2 succeeded   ✗ 1 failed" in line for line in picture)
    assert any(line.startswith("✗ 000002 failed: Not this one.") for line in picture)
    assert any("0:0" in line and "elapsed" in line for line in picture)
