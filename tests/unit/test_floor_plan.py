"""Folders of ``mulequeue/`` import only from floors below them, and modules import in no circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mulequeue"

FLOORS = (
    {"errors", "outcome", "signals"},
    {"catalog"},
    {"settings"},
    {"net"},
    {"api", "ledger", "transfer"},
    {"engine"},
    {"tasks"},
    {"ops"},
    {"cli", "contrib", "emulator", "testing"},
    {"local"},
)
"""From the lowest floor up. CONTRIBUTING.md describes each folder."""

FREE = {"__init__", "__main__", "celery", "recommended"}
"""Entry points: they may import anything."""

ALLOWED = {("testing", "emulator")}
"""Imports between folders of one floor."""

MOST_ENTRIES = 22
"""Files and folders with code on the top level."""

DEEPEST_IMPORT = 12
"""Modules on the longest path of imports at module level."""

_LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}


def room(path: Path) -> str:
    """Return the folder or file on the top level that a module belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_path(name: str) -> Path | None:
    """Return the file of a dotted module name, or None if it names no module of the package."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file() and PACKAGE in candidate.parents:
            return candidate
    return None


def imports(path: Path, *, at_module_level: bool = False) -> Iterator[tuple[int, Path]]:
    """Yield line and file of each module of the package that a file imports.

    :param at_module_level: leave out imports in functions and for type checkers.
    """
    for node in _import_nodes(path, at_module_level):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if module_path(name) else str(node.module) for name in names]
        for name in names:
            found = module_path(name)
            if found is not None:
                yield node.lineno, found


@cache
def _import_nodes(path: Path, at_module_level: bool) -> list[ast.Import | ast.ImportFrom]:
    found: list[ast.Import | ast.ImportFrom] = []
    waiting: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not at_module_level or not (is_function or is_typing):
            waiting += ast.iter_child_nodes(node)
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


def test_every_folder_is_on_a_floor() -> None:
    """The plan names every file and folder on the top level, and there are at most 22 of them."""
    rooms = {room(path) for path in MODULES}

    assert set() == rooms - set(_LEVEL) - FREE, "add the new folder to a floor, or move its files"
    assert len(rooms) <= MOST_ENTRIES


@pytest.mark.parametrize("here", sorted(_LEVEL))
def test_imports_run_down(here: str) -> None:
    """A folder imports from floors below it; from its own floor only where the plan allows it."""
    wrong = [
        f"{path.relative_to(PACKAGE.parent)}:{line}: {here} may not import {there}; move what both "
        "need to a lower floor, or pass it as an argument"
        for path in MODULES
        if room(path) == here
        for line, found in imports(path)
        if (there := room(found)) not in FREE | {here}
        and _LEVEL[there] >= _LEVEL[here]
        and (here, there) not in ALLOWED
    ]

    assert [] == wrong, "\n".join(wrong)


def test_imports_run_in_no_circle_and_not_deep() -> None:
    """No module imports itself through others, and no path of imports has more than 12 modules."""
    graph = {
        path: {found for _, found in imports(path, at_module_level=True) if found != path}
        for path in MODULES
    }
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as exc:
        names = [str(path.relative_to(PACKAGE)) for path in exc.args[1]]
        pytest.fail("modules import each other: " + " -> ".join(names))
    depth: dict[Path, int] = {}
    for path in order:
        depth[path] = 1 + max((depth[found] for found in graph[path]), default=0)

    deepest = max(depth, key=depth.__getitem__)
    assert depth[deepest] <= DEEPEST_IMPORT, f"{deepest} is {depth[deepest]} modules deep"
