"""``mulequeue doctor``."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mulequeue.cli.app import app_of, name_of
from mulequeue.cli.batch_view import echo_json
from mulequeue.ops.health import Finding, examine

if TYPE_CHECKING:
    from rich.console import Console

_ON_A_TERMINAL = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "bold red")}
_WIDTH = 80
_MAX_WIDTH = 100
_ID_WIDTH = 19
_INDENT = " " * 4


@click.command(
    "doctor", epilog='With --json: {"ok", "findings": [{"id", "level", "text", "fix"}]}.'
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def doctor_command(ctx: click.Context, as_json: bool) -> None:
    """Look at everything a fleet stands on, and say what to do about what is wrong.

    Redis and its persistence, workers and their queues, clocks, the key, the storage, Celery's
    settings, late and stuck generations. Nothing is paid, and nothing is left changed.

    Exit code: 1 if there is an error; 0 if all is well, or if there are warnings alone.
    """
    ctx.exit(run(app_of(ctx), as_json=as_json))


def run(app: Any, *, as_json: bool) -> int:
    """Examine an app and print what was found; the exit code."""
    findings = examine(app, command=f"celery -A {name_of(app)} worker")
    is_well = all(finding.level != "error" for finding in findings)
    if as_json:
        echo_json({"ok": is_well, "findings": [asdict(finding) for finding in findings]})
    elif sys.stdout.isatty():
        from rich.console import Console

        show(findings, Console(highlight=False, soft_wrap=True))
    else:
        for line in plain(findings):
            click.echo(line)
    return 0 if is_well else 1


def plain(findings: Sequence[Finding], width: int = _WIDTH) -> list[str]:
    """The report as lines of so many columns; what is to be typed or set is never broken."""
    lines: list[str] = []
    for finding in findings:
        lines += [line for line, _ in _lines(finding, f"{finding.level:<7}", width)]
    return [*lines, "", summary(findings)]


def _lines(finding: Finding, sign: str, width: int) -> list[tuple[str, bool]]:
    """The lines of one finding, and of each whether it is to be typed or set as it is."""
    head = f"{sign} {finding.id:<{_ID_WIDTH}}"
    text = _wrapped(finding.text, width, f"{head} ", " " * (len(head) + 1))
    lines = [(line, False) for line in text]
    for line in finding.fix.splitlines():
        if line.startswith("  "):
            lines.append((f"{_INDENT}{line}", True))
        else:
            lines += [(part, False) for part in _wrapped(line, width, _INDENT, _INDENT)]
    return lines


def _wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def summary(findings: Sequence[Finding]) -> str:
    """``2 errors, 1 warning; 14 ok``."""
    counts = Counter(finding.level for finding in findings)
    bad = [
        f"{counts[level]} {level}{'' if counts[level] == 1 else 's'}"
        for level in ("error", "warning")
        if counts[level]
    ]
    return f"{', '.join(bad)}; {counts['ok']} ok" if bad else f"All is well: {counts['ok']} ok"


def show(findings: Sequence[Finding], console: Console) -> None:
    """The report in colours, as wide as the terminal."""
    from rich.text import Text

    width = min(_MAX_WIDTH, console.width)
    for finding in findings:
        sign, style = _ON_A_TERMINAL[finding.level]
        (first, _), *others = _lines(finding, sign, width)
        text = Text(first)
        text.stylize(style, 0, _ID_WIDTH + 3)
        console.print(text)
        for line, is_verbatim in others:
            console.print(Text(line, style="cyan" if is_verbatim else ""))
    levels = {finding.level for finding in findings}
    worst = next(level for level in ("error", "warning", "ok") if level in levels)
    console.print()
    console.print(Text(summary(findings), style=_ON_A_TERMINAL[worst][1]))
