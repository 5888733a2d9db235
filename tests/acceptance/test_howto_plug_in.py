"""The page about existing projects, as a user follows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.pages import blocks
from support.terminal import Terminals, terminals_for

PAGE = "howto/plug-in.md"


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """A folder with the page's files in it."""
    with terminals_for(PAGE, tmp_path, "6379", "8787") as terminals:
        yield terminals


def test_every_command_of_the_page_works(terminals: Terminals) -> None:
    """In order: a worker, a poller beside it, and two pictures that a chord's body tells of."""
    said = [terminals.type(command) for block in blocks(PAGE) for command in block.commands]

    stored = [Path(urlsplit(line).path) for line in said[-1].split()]
    assert 2 == len(set(stored))
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in stored)
    assert any("does not consume mulequeue.poll and mulequeue.wake" in text for text in said)
