"""What the reference reads of the code: docstrings, also those under attributes, and log calls."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LEVELS = ["log", "critical", "exception", "error", "warning", "info", "debug"]
_SHOWN = {"exception": "error", "log": "critical or warning"}
_PLACE = re.compile(r"%[-.\d]*[a-z]")
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
_FIELD = re.compile(r":(param|returns?|raises?)\s*([^:]*):\s*(.*)")
_NEXT_FIELD = re.compile(r"(?=:(?:param|returns?|raises?)\b)")


def attribute_docs(cls: type[Any]) -> dict[str, str]:
    """The docstring under each attribute of a class and of its bases, in one line."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        docs |= _own_attribute_docs(base)
    return docs


def _own_attribute_docs(cls: type[Any]) -> dict[str, str]:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    docs, name = {}, None
    for node in tree.body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            docs[name] = ""
        elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docs[name] = _inline(" ".join(str(node.value.value).split()))
            name = None
        else:
            name = None
    return docs


def log_calls(folder: Path) -> list[tuple[str, str, list[str]]]:
    """Level, message and field names of every log call of a package, the gravest first."""
    found = {
        (_LEVELS.index(level), text, fields)
        for file in folder.rglob("*.py")
        if "emulator" not in file.parts
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for level, text, fields in _calls(function)
    }
    return [
        (_SHOWN.get(_LEVELS[level], _LEVELS[level]), text, list(fields))
        for level, text, fields in sorted(found)
    ]


def _calls(function: ast.AST) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    extras = {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="logger"), attr=level),
                args=[ast.Constant(value=str(text)), *_] | [_, ast.Constant(value=str(text)), *_],
                keywords=keywords,
            ) if level in _LEVELS and " " in text:
                given = next((item.value for item in keywords if item.arg == "extra"), None)
                given = extras.get(given.id) if isinstance(given, ast.Name) else given
                keys = given.keys if isinstance(given, ast.Dict) else []
                names = tuple(str(key.value) for key in keys if isinstance(key, ast.Constant))
                yield level, _PLACE.sub("…", text), names


def markdown(docstring: str | None, head: list[str] | None = None) -> str:
    """A docstring of ours as Markdown.

    :param head: of the table in it, which has none there.
    """
    parts = [_paragraph(part, head or []) for part in (docstring or "").strip().split("\n\n")]
    return "\n\n".join(parts) + "\n"


def _paragraph(text: str, head: list[str]) -> str:
    if text.startswith("==="):
        return _grid(text, head)
    if text.startswith(">>>"):
        return f"```pycon\n{text}\n```"
    lines, fields = _split_fields(text)
    told = [re.sub(r"::$", ":", _inline("\n".join(lines)))] if lines else []
    if fields:
        told.append("\n".join(_field(*item) for item in fields))
    return "\n\n".join(told)


def _split_fields(text: str) -> tuple[list[str], list[tuple[str, str, str]]]:
    """The lines before the first field, and of each field its kind, name and text."""
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if _FIELD.match(line)), len(lines))
    rest = " ".join(line.strip() for line in lines[first:])
    matches = (_FIELD.match(part.strip()) for part in _NEXT_FIELD.split(rest))
    return lines[:first], [(match[1], match[2], match[3]) for match in matches if match]


def _field(kind: str, name: str, text: str) -> str:
    labels = {"param": f"`{name}`", "return": "returns", "raise": f"raises `{name}`"}
    label = labels[kind.removesuffix("s")]
    return f"- {label}: {_inline(text)}"


def _grid(text: str, head: list[str]) -> str:
    """A simple table of reStructuredText."""
    lines = text.splitlines()
    starts = [match.start() for match in re.finditer(r"=+", lines[0])]
    rows: list[list[str]] = []
    for line in lines[1:-1]:
        cells = [
            line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)
        ]
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
    return table(head, [[_inline(cell) for cell in row] for row in rows]).rstrip()


def _inline(text: str) -> str:
    return without_roles(text).replace("``", "`")


def without_roles(text: str) -> str:
    """Return a docstring in which a role (``:func:`mulequeue.file```) is the name as code."""
    return _ROLE.sub(lambda found: f"`{found[1].rpartition('.')[2]}`", text)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; a bar in a cell is escaped."""
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
