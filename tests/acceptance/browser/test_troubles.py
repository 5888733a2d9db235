"""What a person sees of a gallery while something is away, and that it goes on when it is back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.gallery import MOST_MILLISECONDS, Gallery, send, wait_until_over
from support.redis_server import RedisServer

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = api.expect

PROMPTS = ["A mule at dawn", "بغل فوق الجبال 🐴", "A forbidden garden"]
FAILED = {"contains": "forbidden", "end": "failed", "code": 3001, "detail": "Not here."}


@pytest.fixture
def redis(tmp_path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, persistent=True)
    yield server
    server.stop()


@pytest.fixture(params=["flask", "django"])
def gallery(request, redis, tmp_path) -> Iterator[Gallery]:
    """A gallery on a Redis of the test's."""
    pytest.importorskip(request.param)
    gallery = Gallery(request.param, tmp_path / "data", redis_url=redis.url)
    yield gallery
    gallery.stop()
    print(gallery.log)


@pytest.fixture
def page(browser, gallery):
    context = browser.new_context(base_url=gallery.url)
    context.set_default_timeout(MOST_MILLISECONDS)
    page = context.new_page()
    page.goto("/")
    yield page
    context.close()


def test_it_goes_on_after_every_trouble(gallery, redis, page, screenshot):
    """Worker, connection and Redis may go and come back: each album ends well, and nothing is paid twice."""
    gallery.emulate(lives=[{**FAILED, "seconds": 2}, {"seconds": 2}])
    send(page, PROMPTS)
    expect(page.locator("#text")).to_contain_text("3 generating", timeout=MOST_MILLISECONDS)
    gallery.kill_worker()
    page.route("**/cards?*", lambda route: route.abort())  # there is news, and no card comes
    note = page.locator("#away")
    expect(note).to_contain_text("No connection to the server", timeout=MOST_MILLISECONDS)
    expect(page.locator("#progress.over #text")).to_contain_text("3 of 3 done: 2 ready, 1 failed")
    page.unroute("**/cards?*")
    expect(page.locator("#cards img")).to_have_count(2, timeout=MOST_MILLISECONDS)
    expect(note).to_be_empty()
    album = page.url

    redis.kill()
    page.get_by_role("button", name="Try again …: A forbidden garden").click()
    expect(note).to_have_text("It could not be started. Try again later.")
    page.goto("/")
    page.get_by_label("Prompts, one per line").fill("A second thought")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("alert").first).to_contain_text("nothing was started")
    screenshot(page, "no-redis", schemes=["dark"])
    expect(page.get_by_role("textbox")).to_have_value("A second thought")
    redis.start()
    gallery.emulate(lives=[{"seconds": 0.1}])
    page.get_by_role("button", name="Generate").click()
    page.wait_for_url("**/albums/*/")
    wait_until_over(page, "1 of 1 done: 1 ready")
    page.goto(album)
    page.get_by_role("button", name="Try again …: A forbidden garden").click()
    page.get_by_role("button", name="Yes, try 1 again").click()
    wait_until_over(page, "3 of 3 done: 3 ready")
    assert 5 == gallery.stats()["created"]
