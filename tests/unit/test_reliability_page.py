"""The page about reliability names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from support.pages import DOCS

PAGE = "reliability.md"
TESTS = Path(__file__).parent.parent


def test_every_row_names_a_test() -> None:
    """Each row of the table of deaths ends with the test that proves it."""
    text = (DOCS / PAGE).read_text()
    table = text.split("| what fails |")[1].split("\n\n")[0]
    rows = table.splitlines()[2:]
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)` \|$", table, re.M)
    sources: dict[str, str] = {}
    for path in TESTS.rglob("test_*.py"):  # two folders may have a file of one name
        sources[path.name] = sources.get(path.name, "") + path.read_text()

    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in sources[file]]

    assert [] == missing
    assert len(rows) == len(named) > 15


def test_files_named_in_the_text_exist() -> None:
    """Every other test file that the page mentions is there."""
    named = set(re.findall(r"`(test_\w+\.py)`", (DOCS / PAGE).read_text()))

    assert named
    assert named <= {path.name for path in TESTS.rglob("test_*.py")}
