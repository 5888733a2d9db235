"""The page about Django, as a user follows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browsing import picture_made_at
from support.pages import blocks
from support.terminal import Terminals, terminals_for

pytest.importorskip("django")

PAGE = "howto/django.md"


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """An empty folder."""
    with terminals_for(PAGE, tmp_path, "6379", "8787", "8000", lay_out=False) as terminals:
        yield terminals


def test_every_command_of_the_page_works(terminals: Terminals) -> None:
    """In order, with each file in place where the page shows it: a picture is on the page at the end."""
    said = []
    for block in blocks(PAGE):
        terminals.save(block)
        said += [terminals.type(command) for command in block.commands]

    assert any("System check identified" in text for text in said)
    assert picture_made_at(terminals.replaced("http://127.0.0.1:8000/"))
