"""The code blocks of a page of the documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(
    r"(?:^\*\*`(?P<name>[^`\n]+)`\*\*\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    name: str | None
    """Of the file it is, when a line in bold above it says so."""

    @property
    def commands(self) -> list[str]:
        """The lines that a user types, of a console block."""
        lines = [line.removeprefix("$ ") for line in self.text.splitlines() if line[:2] == "$ "]
        return lines if self.language == "console" else []


def blocks(page: str) -> list[Block]:
    """All of them, in order."""
    text = (DOCS / page).read_text()
    return [Block(m["language"], m["text"], m["name"]) for m in _BLOCK.finditer(text)]
