"""What is printed while something is watched."""

from __future__ import annotations

import io
import time

import pytest

from mulequeue.cli.view import PlainView, Progress, view_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_note_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Checks may note the same after every refresh; only another text is printed again."""
    with PlainView(time.monotonic()) as view:
        for text in ("No worker answers.", "No worker answers.", "Paused."):
            view.note(text)

    assert "No worker answers.\nPaused.\n" == capsys.readouterr().err


def test_a_pipe_gets_the_last_state(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines that follow each other quickly are left out, but never the last one."""
    with PlainView(time.monotonic(), line_seconds=3600) as view:
        for count in range(3):
            view.show(Progress(f"{count} of 2 done"))

    assert ["2 of 2 done"] == [
        line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()
    ][-1:]


@pytest.mark.parametrize(
    ("environment", "is_live"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ],
)
def test_a_plain_terminal_gets_lines(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], is_live: bool
) -> None:
    """TERM=dumb cannot move its cursor, and NO_COLOR asks for text alone."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stderr", Terminal())

    assert is_live is (not isinstance(view_for("a batch", quiet=False), PlainView))
