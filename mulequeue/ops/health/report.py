"""Print the doctor's report as lines, which are coloured on a terminal, or as JSON."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from mulequeue.ops.health import Finding, examine
from mulequeue.ops.health.check_result import format_count

_SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}
_STYLES: dict[str, dict[str, Any]] = {
    "ok": {"fg": "green"},
    "warning": {"fg": "yellow"},
    "error": {"fg": "red", "bold": True},
}
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
    else:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo("\n".join(report_lines(findings, columns)))
    return 0 if is_ok else 1


def report_lines(findings: Sequence[Finding], columns: int | None) -> Iterator[str]:
    """Yield the lines of the report, with colours. Commands and settings are not wrapped.

    :param columns: width of the terminal, for which each level is a sign; None: the output is no terminal, and
        each level is a word.
    """
    width = _WIDTH if columns is None else min(_MAX_WIDTH, columns)
    for finding in findings:
        sign = f"{finding.level:<7}" if columns is None else _SIGNS[finding.level]
        yield from _finding_lines(finding, f"{sign} {finding.id:<{_ID_WIDTH}} ", width)
    levels = {finding.level for finding in findings}
    worst = next(level for level in ("error", "warning", "ok") if level in levels)
    yield ""
    yield click.style(summary(findings), **_STYLES[worst])


def summary(findings: Sequence[Finding]) -> str:
    """Return the number of findings of each level: ``2 errors, 1 warning; 14 ok``."""
    counts = Counter(finding.level for finding in findings)
    problems = [
        format_count(counts[level], level) for level in ("error", "warning") if counts[level]
    ]
    ok = f"{counts['ok']} ok"
    return f"{', '.join(problems)}; {ok}" if problems else f"No problems: {ok}"


def _finding_lines(finding: Finding, head: str, width: int) -> Iterator[str]:
    first, *others = _wrap(finding.text, width, head, " " * len(head))
    yield click.style(first[: len(head)], **_STYLES[finding.level]) + first[len(head) :]
    yield from others
    for line in finding.fix.splitlines():
        if line.startswith("  "):
            yield click.style(f"{_INDENT}{line}", fg="cyan")
        else:
            yield from _wrap(line, width, _INDENT, _INDENT)


def _wrap(text: str, width: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
