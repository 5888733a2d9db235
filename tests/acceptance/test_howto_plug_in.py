"""The page about existing projects, as a user follows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.pages import blocks
from support.redis_server import free_port, redis_binary
from support.terminal import Terminals

PAGE = "howto/plug-in.md"


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """A folder with the page's files in it."""
    redis_binary()
    typed = Terminals(tmp_path, {port: str(free_port()) for port in ("6379", "8787")})
    for block in blocks(PAGE):
        if block.name:
            (tmp_path / block.name).write_text(typed.replaced(block.text))
    yield typed
    typed.close()
    print(typed.logs)


def test_every_command_of_the_page_works(terminals: Terminals) -> None:
    """In order: a worker, a poller beside it, and two pictures that a chord's body tells of."""
    said = [terminals.type(command) for block in blocks(PAGE) for command in block.commands]

    stored = [Path(urlsplit(line).path) for line in said[-1].split()]
    assert 2 == len(set(stored))
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in stored)
    assert any("does not take mulequeue.poll and mulequeue.wake" in text for text in said)
