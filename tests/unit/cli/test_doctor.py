"""The doctor's report."""

from __future__ import annotations

import os
import re

import click
import pytest
from celery import Celery

from mulequeue.ops.health import Finding, examine, is_unconfigured
from mulequeue.ops.health.report import report_lines, summary

WELL = Finding("redis", "ok", "Redis answers.")
ILL = Finding("persistence", "error", "word " * 40, "Do this, " * 20 + "\n  set " + "x" * 90)
HINT = Finding("prefetch", "warning", "It reserves four.", "Set:\n  a = 1")


def plain(findings: list[Finding]) -> list[str]:
    """The report as a pipe gets it."""
    return [click.unstyle(line) for line in report_lines(findings, None)]


def test_lines_end_at_80_columns_but_for_what_is_typed() -> None:
    """Text is wrapped; a line to set or type stays whole, so that it can be pasted."""
    lines = plain([WELL, ILL, HINT])

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
    ] == plain([HINT])


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
    shown = "\n".join(report_lines([WELL, HINT, ILL], 80))

    assert click.style(f"✗ {'persistence':<19} ", fg="red", bold=True) in shown
    assert ["a = 1", "set " + "x" * 90] == [
        line.strip() for line in re.findall(r"\x1b\[36m(.*?)\x1b", shown)
    ]
    words = set(click.unstyle(shown).split()) - {"✓", "!", "✗"}
    assert set(" ".join(plain([WELL, HINT, ILL])).split()) - {"error", "warning"} == words


def test_without_a_project_nothing_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The standalone app without any settings is neither all clear nor an error."""
    for name in list(os.environ):
        if name.startswith(("MULEQUEUE_", "MULEROUTER_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr("mulequeue.ops.health.find_spec", lambda name: None)

    [finding] = examine(Celery("mulequeue", set_as_current=False))

    assert ("settings", "warning") == (finding.id, finding.level)
    assert "Nothing was checked" in finding.text
    monkeypatch.setenv("MULEQUEUE_REDIS_URL", "redis://127.0.0.1:1/0")
    assert not is_unconfigured(Celery("mulequeue", set_as_current=False))
    monkeypatch.delenv("MULEQUEUE_REDIS_URL")
    assert not is_unconfigured(Celery("proj", set_as_current=False))
