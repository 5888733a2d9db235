"""The doctor's report."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from mulequeue.ops.health import Finding
from mulequeue.ops.health.report import print_coloured, report_lines, summary

WELL = Finding("redis", "ok", "Redis answers.")
ILL = Finding("persistence", "error", "word " * 40, "Do this, " * 20 + "\n  set " + "x" * 90)
HINT = Finding("prefetch", "warning", "It reserves four.", "Set:\n  a = 1")


def test_lines_end_at_80_columns_but_for_what_is_typed() -> None:
    """Text is wrapped; a line to set or type stays whole, so that it can be pasted."""
    lines = report_lines([WELL, ILL, HINT])

    long = [line for line in lines if len(line) > 80]
    assert ["set " + "x" * 90] == [line.strip() for line in long]
    assert "ok      redis               Redis answers." == lines[0]


def test_what_is_wrong_is_followed_by_its_fix() -> None:
    """Level, name, text; then the fix, indented."""
    assert [
        "warning prefetch            It reserves four.",
        "    Set:",
        "      a = 1",
        "",
        "1 warning; 0 ok",
    ] == report_lines([HINT])


@pytest.mark.parametrize(
    ("findings", "line"),
    [
        ([WELL, WELL], "No problems: 2 ok"),
        ([WELL, HINT, HINT], "2 warnings; 1 ok"),
        ([ILL, HINT], "1 error, 1 warning; 0 ok"),
    ],
)
def test_the_last_line_counts(findings: list[Finding], line: str) -> None:
    """Errors first, then warnings, then what is well."""
    assert line == summary(findings)


def test_a_terminal_gets_the_same_words_in_colours() -> None:
    """Every word of the plain report is there, and the sign of an error is red."""
    screen = io.StringIO()

    print_coloured(
        [WELL, HINT, ILL], Console(file=screen, force_terminal=True, width=80, soft_wrap=True)
    )

    shown = screen.getvalue()
    assert "\x1b[1;31m✗ persistence" in shown
    assert ["a = 1", "set " + "x" * 90] == [
        line.strip() for line in re.findall(r"\x1b\[36m(.*?)\x1b", shown)
    ]
    words = set(re.sub(r"\x1b\[[\d;]*m", "", shown).split()) - {"✓", "!", "✗"}
    assert set(" ".join(report_lines([WELL, HINT, ILL])).split()) - {"error", "warning"} == words
