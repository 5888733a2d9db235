"""Both galleries, and one browser for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.gallery import MOST_MILLISECONDS, Gallery, chromium, start_browser

SCREENSHOTS = "GALLERY_SCREENSHOTS"
"""Names the folder that the pictures of a run go into."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium; as long as it runs, no test elsewhere in the process can have an event loop."""
    chromium()
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    api.expect.set_options(
        timeout=MOST_MILLISECONDS
    )  # a worker starts for seconds on a busy machine
    with api.sync_playwright() as playwright:
        browser = start_browser(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="package", params=["flask", "django"])
def gallery(
    request: pytest.FixtureRequest, browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gallery]:
    """A gallery on its emulator, started with its one command."""
    pytest.importorskip(request.param)
    gallery = Gallery(request.param, tmp_path_factory.mktemp(request.param))
    yield gallery
    gallery.stop()
    print(gallery.log)


@pytest.fixture
def new_person(browser: Any, gallery: Gallery) -> Iterator[Callable[..., Any]]:
    """Opens the gallery in a browser of a person's own; every error on a page fails the test."""
    contexts, errors = [], []

    def open_page(**options: Any) -> Any:
        contexts.append(browser.new_context(base_url=gallery.url, **options))
        contexts[-1].set_default_timeout(30_000)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(error))
        page.on("requestfailed", lambda request: _note(errors, request))
        page.goto("/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [] == errors


def _note(errors: list[Any], request: Any) -> None:
    if "/events" not in request.url and "ERR_ABORTED" not in (request.failure or ""):
        errors.append(f"{request.url}: {request.failure}")


@pytest.fixture
def screenshot(tmp_path: Path, gallery: Gallery) -> Callable[..., None]:
    """Keeps pictures of a page, narrow and wide, light and dark."""
    folder = Path(os.environ.get(SCREENSHOTS) or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def take(
        page: Any,
        name: str,
        widths: Sequence[int] = (390, 1440),
        schemes: Sequence[str] = ("light", "dark"),
    ) -> None:
        for width in widths:
            page.set_viewport_size({"width": width, "height": 900})
            for scheme in schemes:
                page.emulate_media(color_scheme=scheme)
                path = folder / f"{gallery.host}-{name}-{width}-{scheme}.png"
                page.screenshot(path=path, full_page=True)
            assert width == page.evaluate("document.documentElement.scrollWidth"), (
                "it scrolls aside"
            )

    return take
