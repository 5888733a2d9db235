"""The page about Django, as a user follows it."""

from __future__ import annotations

import os
import shutil

import pytest
from support.gallery import chromium, start_browser
from support.pages import blocks
from support.redis_server import free_port
from support.terminal import Terminals

pytest.importorskip("django")

PAGE = "howto/django.md"
PORTS = ("6379", "8787", "8000")


@pytest.fixture
def terminals(tmp_path):
    """An empty folder."""
    for program in ("bash", "redis-server"):
        if shutil.which(program) is None:
            reason = f"{program} is not installed"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    terminals = Terminals(tmp_path, {port: str(free_port()) for port in PORTS})
    yield terminals
    terminals.close()
    print(terminals.logs)


def test_every_command_of_the_page_works(terminals):
    """In order, with each file in place where the page shows it: a picture is on the page at the end."""
    said = []
    for block in blocks(PAGE):
        if block.name:
            file = terminals.folder / block.name
            file.parent.mkdir(exist_ok=True)
            file.write_text(terminals.replaced(block.text))
        said += [terminals.type(command) for command in block.commands]

    assert any("System check identified" in text for text in said)
    _see_a_picture(terminals.replaced("http://127.0.0.1:8000/"))


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
        assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)")
        browser.close()
