"""Messages are wrapped on a terminal only, and control no terminal."""

from __future__ import annotations

import io
import os
import shutil

import pytest
from rich.cells import cell_len as cells

from mulequeue.cli.output import columns, cut, one_line, wrap

URL = "https://example.com/" + "x" * 90
LONG = "Redis does not answer. " * 6 + "Start one, or set MULEQUEUE_REDIS_URL."


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of eighty columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert shutil.get_terminal_size() == os.terminal_size((80, 24))
    return Terminal()


def test_a_terminal_gets_lines_that_fit(terminal: Terminal) -> None:
    """Every word is there, whole, and no line is longer than the terminal is wide."""
    lines = wrap(LONG, terminal).split("\n")

    assert LONG.split() == " ".join(lines).split()
    assert max(map(len, lines)) <= 80


def test_what_is_to_be_copied_stays_whole(terminal: Terminal) -> None:
    """A URL is not torn, nor a command on a line of its own."""
    command = "  mulequeue status " + "a " * 60

    assert URL in wrap(f"See {URL} for more.", terminal).split("\n")
    assert f"Look again:\n{command}" == wrap(f"Look again:\n{command}", terminal)


def test_made_lines_are_indented(terminal: Terminal) -> None:
    """Under the place where the text begins."""
    first, *others = wrap(f"because    {LONG}", terminal, indent=11).split("\n")

    assert first.startswith("because    Redis")
    assert others
    assert all(line.startswith(" " * 11) and line[11] != " " for line in others)


def test_a_pipe_gets_the_text_as_it_is() -> None:
    """A line is a line for the program that reads it."""
    assert wrap(LONG, io.StringIO()) == LONG


def test_control_characters_are_removed() -> None:
    """Escapes and bells of a prompt become blanks; letters of any script stay."""
    assert "a ]0;mule [31m märchen 夕暮れ" == one_line("a \x1b]0;mule\x07\x1b[31m märchen\n夕暮れ")


def test_widths_are_those_of_a_terminal(terminal: Terminal) -> None:
    """A CJK character or an emoji has two cells, in columns, cut text and wrapped text."""
    first, second = columns([("驢子", "a"), ("mule", "b")])

    assert ("驢子  a", "mule  b") == (first, second)
    assert ("驢子…", "🐴 a", "") == (cut("驢子在黎明", 5), cut("🐴 a", 4), cut("", 0))
    assert cells(cut("a驢子在黎明", 6)) <= 6
    wrapped = wrap("驢子在黎明時分 " * 20, terminal).split("\n")
    assert max(map(cells, wrapped)) <= 80
    assert 4 == len(wrapped)
