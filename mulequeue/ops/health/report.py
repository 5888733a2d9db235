"""The doctor's report: as lines, in colours on a terminal, or as JSON."""

from __future__ import annotations

import json
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mulequeue.ops.health import Finding, examine

if TYPE_CHECKING:
    from rich.console import Console

_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "bold red")}
_WIDTH = 80
_MAX_WIDTH = 100
_ID_WIDTH = 19
_INDENT = " " * 4


def print_report(app: Any, *, command: str | None = None, as_json: bool = False) -> int:
    """Examine an app and print the findings; return 1 if one of them is an error, else 0.

    :param command: the command that starts a worker; None: ``celery -A <the app's name> worker``.
    """
    findings = examine(app, command=command)
    is_ok = all(finding.level != "error" for finding in findings)
    if as_json:
        report = {"ok": is_ok, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(report, ensure_ascii=False))
    elif sys.stdout.isatty():
        from rich.console import Console

        print_coloured(findings, Console(highlight=False, soft_wrap=True))
    else:
        for line in report_lines(findings):
            click.echo(line)
    return 0 if is_ok else 1


def report_lines(findings: Sequence[Finding], width: int = _WIDTH) -> list[str]:
    """Return the report as lines of that width; commands and settings are never wrapped."""
    lines: list[str] = []
    for finding in findings:
        lines += [line for line, _ in _finding_lines(finding, f"{finding.level:<7}", width)]
    return [*lines, "", summary(findings)]


def summary(findings: Sequence[Finding]) -> str:
    """Return ``2 errors, 1 warning; 14 ok``."""
    counts = Counter(finding.level for finding in findings)
    problems = [
        f"{counts[level]} {level}{'' if counts[level] == 1 else 's'}"
        for level in ("error", "warning")
        if counts[level]
    ]
    ok = f"{counts['ok']} ok"
    return f"{', '.join(problems)}; {ok}" if problems else f"No problems: {ok}"


def print_coloured(findings: Sequence[Finding], console: Console) -> None:
    """Print the report in colours, as wide as the terminal."""
    from rich.text import Text

    width = min(_MAX_WIDTH, console.width)
    for finding in findings:
        sign, style = _SIGNS[finding.level]
        (first, _), *others = _finding_lines(finding, sign, width)
        text = Text(first)
        text.stylize(style, 0, _ID_WIDTH + 3)
        console.print(text)
        for line, is_verbatim in others:
            console.print(Text(line, style="cyan" if is_verbatim else ""))
    levels = {finding.level for finding in findings}
    worst = next(level for level in ("error", "warning", "ok") if level in levels)
    console.print()
    console.print(Text(summary(findings), style=_SIGNS[worst][1]))


def _finding_lines(finding: Finding, sign: str, width: int) -> list[tuple[str, bool]]:
    """Return the lines of one finding, each with whether it is a command or setting to copy."""
    head = f"{sign} {finding.id:<{_ID_WIDTH}}"
    text = _wrap(finding.text, width, f"{head} ", " " * (len(head) + 1))
    lines = [(line, False) for line in text]
    for line in finding.fix.splitlines():
        if line.startswith("  "):
            lines.append((f"{_INDENT}{line}", True))
        else:
            lines += [(part, False) for part in _wrap(line, width, _INDENT, _INDENT)]
    return lines


def _wrap(text: str, width: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
