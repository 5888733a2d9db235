"""The page about Flask, as a user follows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browsing import picture_made_at
from support.pages import blocks
from support.terminal import Terminals, terminals_for

pytest.importorskip("flask")

PAGE = "howto/flask.md"


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """A folder with the page's files in it."""
    with terminals_for(PAGE, tmp_path, "6379", "8787", "5000", "5001") as terminals:
        yield terminals


def test_every_command_of_the_page_works(terminals: Terminals) -> None:
    """In order: a picture is on the page at the end, and a batch tells of its progress until it is over."""
    said = [terminals.type(command) for block in blocks(PAGE) for command in block.commands]

    told = said[-1].strip().split("\n\n")
    assert told[-1].startswith("event: end\n")
    last = json.loads(told[-1].partition("data: ")[2])
    assert (3, 3, 3, True) == tuple(last[name] for name in ("size", "done", "files", "is_over"))
    assert any(event.startswith("event: progress\n") for event in told)
    assert picture_made_at(terminals.replaced("http://127.0.0.1:5000/"))
