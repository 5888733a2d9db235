"""CONTRIBUTING.md names files that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_step_of_a_generation_names_its_files() -> None:
    """The table of the steps has the path of each module, and the name of each Lua script."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    table = page.partition("## One generation, file by file")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")][1:]
    paths = [name for row in rows for name in re.findall(r"`([^`]+)`", row[1])]
    scripts = [f"ledger/lua/{name}.lua" for row in rows for name in re.findall(r"`(\w+)`", row[2])]

    assert len(rows) > 10
    assert [] == [name for name in (*paths, *scripts) if not (ROOT / "mulequeue" / name).exists()]
