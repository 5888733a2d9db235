"""A person with a browser, for a test that needs one just once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.gallery import MOST_MILLISECONDS, chromium, start_browser


def picture_made_at(url: str) -> int:
    """Ask a page for a picture, as a user does; its width in pixels once it is shown.

    In a thread of its own, which no other browser of this process can disturb.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_picture_made_at, url).result()


def _picture_made_at(url: str) -> int:
    chromium()
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = start_browser(playwright)
        page = browser.new_page()
        page.goto(url)
        page.get_by_label("Prompt").fill("a mule at dawn")
        page.get_by_role("button", name="Generate").click()
        picture = page.get_by_role("img", name="a mule at dawn")
        picture.wait_for(timeout=MOST_MILLISECONDS)
        width = picture.evaluate(
            "async (image) => { await image.decode(); return image.naturalWidth; }"
        )
        browser.close()
    return int(width)
