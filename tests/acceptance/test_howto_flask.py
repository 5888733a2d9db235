"""The page about Flask, as a user follows it."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from support.gallery import chromium, start_browser
from support.pages import blocks
from support.redis_server import free_port, redis_binary
from support.terminal import Terminals

pytest.importorskip("flask")

PAGE = "howto/flask.md"
PORTS = ("6379", "8787", "5000", "5001")


@pytest.fixture
def terminals(tmp_path):
    """An empty folder with the page's files in it."""
    for program in ("bash", "curl", "redis-server"):
        if shutil.which(program) is None:
            reason = f"{program} is not installed"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    redis_binary()
    terminals = Terminals(tmp_path, {port: str(free_port()) for port in PORTS})
    for block in blocks(PAGE):
        if block.name:
            file = tmp_path / block.name
            file.parent.mkdir(exist_ok=True)
            file.write_text(terminals.replaced(block.text))
    yield terminals
    terminals.close()
    print(terminals.logs)


def test_every_command_of_the_page_works(terminals):
    """In order: a picture is on the page at the end, and a batch tells of its progress until it is over."""
    said = [terminals.type(command) for block in blocks(PAGE) for command in block.commands]

    told = said[-1].strip().split("\n\n")
    assert told[-1].startswith("event: end\n")
    last = json.loads(told[-1].partition("data: ")[2])
    assert (3, 3, 3, True) == tuple(last[name] for name in ("size", "done", "files", "is_over"))
    assert any(event.startswith("event: progress\n") for event in told)
    _see_a_picture(terminals.replaced("http://127.0.0.1:5000/"))


def _see_a_picture(url):
    chromium()
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = start_browser(playwright)
        page = browser.new_page()
        page.goto(url)
        page.get_by_label("Prompt").fill("a mule at dawn")
        page.get_by_role("button", name="Generate").click()
        picture = page.get_by_role("img", name="a mule at dawn")
        picture.wait_for(timeout=30_000)
        assert picture.evaluate(
            "async (image) => { await image.decode(); return image.naturalWidth; }"
        )
        browser.close()
