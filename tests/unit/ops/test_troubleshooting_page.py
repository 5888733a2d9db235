"""docs/troubleshooting.md: a user finds every error, log line, finding and check by its text."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from support.pages import DOCS

sys.path.append(str(DOCS.parent))

import mulequeue
from mulequeue import errors
from mulequeue.ops.health.records import RECORD_CHECKS
from tools.reference.reading import log_calls

PACKAGE = Path(mulequeue.__file__).parent
HEALTH = PACKAGE / "ops" / "health"
PAGE = (DOCS / "troubleshooting.md").read_text()
_BY_VARIABLE = {"eviction", "broker-eviction"} | {
    f"{name}-queue" for name in ("task", "poll", "wake", "download", "notify")
}
"""Findings whose id is an argument of the function that makes them."""
ELSEWHERE = {"This check failed: …: …"}
"""Texts that are explained below the table."""
_NOT_A_CLASS = {"NoAssets", "ResponseTooLarge", "TaskFailed"}


def rows(heading: str) -> dict[str, str]:
    """The rows of all tables below a heading, by the code in their first cell."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)`[^|]* \|(.*)\|$", section, re.M))


def texts(node: ast.AST) -> Iterator[str]:
    """Every text in a piece of code, with `…` where a value goes."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


def made() -> Iterator[tuple[str, str]]:
    """The findings that are no success: the id, or "" if it is a variable, and the text."""
    for check in RECORD_CHECKS:
        yield check.id, re.sub(r"\{.*?\}", "…", check.text)
    for file in HEALTH.glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef):
                yield from _made_in(function)


def _made_in(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    for call in ast.walk(function):
        match call:
            case ast.Call(func=ast.Name(id="error" | "warning"), args=[first, text, *_]):
                name = first.value if isinstance(first, ast.Constant) else ""
                found = [text]
                if isinstance(text, ast.Name):
                    found = [
                        each.value
                        for each in ast.walk(function)
                        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == text.id
                    ]
                yield from ((name, printed) for each in found for printed in texts(each))


def shown(row: str) -> list[str]:
    """The texts that a row shows as printed."""
    return [text for text in re.findall(r"`([^`]+)`", row.partition("|")[0]) if " " in text]


def is_in(phrase: str, text: str) -> bool:
    """Whether a phrase of the page is in a text, whatever the values are."""
    return all(part in text for part in phrase.split("…"))


def test_every_error_class_has_a_row() -> None:
    """Each class has one, and each row is a class, or the type of an outcome's error."""
    classes = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}

    assert classes | {"AddressRefused"} | _NOT_A_CLASS == set(rows("Errors"))


def test_every_log_line_has_a_row() -> None:
    """Each line that reports a problem has one, and each row is such a line."""
    lines = {
        text
        for level, text, _ in log_calls(PACKAGE)
        if level in ("critical", "error", "warning", "critical or warning")
    }

    found = set(rows("Log lines of workers and receivers"))

    assert [] == sorted(lines - found)
    assert [] == sorted(found - lines)


def test_every_finding_has_a_row() -> None:
    """Each id of the doctor has one, and each row is an id."""
    ids = {
        call.args[0].value
        for file in HEALTH.glob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in ("passed", "warning", "error", "report", "of_configuration")
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }

    ids |= {check.id for check in RECORD_CHECKS}

    assert len(ids) > 15
    assert ids | _BY_VARIABLE == set(rows("What the doctor finds"))


def test_every_text_of_a_finding_is_shown() -> None:
    """The row of a finding shows a part of each text that it may print."""
    table = rows("What the doctor finds")
    missing = [
        (name, text)
        for name, text in made()
        if text.strip(" .…:") and text not in ELSEWHERE
        if not any(
            is_in(phrase, text)
            for row in ([table[name]] if name else table.values())
            for phrase in shown(row)
        )
    ]

    assert [] == missing


def test_no_text_is_shown_that_is_not_printed() -> None:
    """Each text in the rows of findings and checks is in the code."""
    folders = (HEALTH, PACKAGE / "transfer", PACKAGE / "contrib" / "django")
    code = [
        text
        for folder in folders
        for file in folder.glob("*.py")
        for text in texts(ast.parse(file.read_text()))
    ]
    stale = [
        phrase
        for heading in ("What the doctor finds", "What Django's checks find")
        for row in rows(heading).values()
        for phrase in shown(row)
        if not any(is_in(phrase, text) for text in code)
    ]

    assert [] == stale


def test_every_check_of_django_has_a_row() -> None:
    """Each id of `manage.py check` has one, and each row is an id."""
    code = (PACKAGE / "contrib" / "django" / "checks.py").read_text()

    assert set(re.findall(r'id="(mulequeue\.\w+)"', code)) == set(rows("What Django's checks find"))
