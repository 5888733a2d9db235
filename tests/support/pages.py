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
        """The lines that a user types: those with a prompt in a console block, all in a bash block."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language in ("bash", "sh", "shell"):
            return [line for line in lines if line.strip() and not line.startswith("#")]
        return [line[2:] for line in lines if line[:2] == "$ " and self.language == "console"]


def all_pages() -> list[str]:
    """Every page for users: the README, and what is under docs."""
    return ["../README.md", *sorted(str(file.relative_to(DOCS)) for file in DOCS.rglob("*.md"))]


def blocks(page: str) -> list[Block]:
    """All of them, in order.

    :param page: its path, seen from docs.
    """
    text = (DOCS / page).read_text()
    return [Block(m["language"], m["text"], m["name"]) for m in _BLOCK.finditer(text)]
