"""What a person puts right on an album's page: a wrong key, a prompt, what need not be made, a download."""

from __future__ import annotations

import zipfile

import pytest
from support.gallery import Gallery, send, wait_until_over

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = api.expect

PROMPTS = ["A mule at dawn", "A fox at noon", "A zebra at night"]
NEWEST = ["A mule at dawn", "A blue fox at noon", "A zebra at night"]
AT_ONCE = {"lives": [{"seconds": 0.1}], "creates": []}


@pytest.fixture(params=["flask", "django"])
def gallery(request, tmp_path):
    """A gallery in which nothing waits for longer than a few seconds."""
    pytest.importorskip(request.param)
    env = {"GALLERY_EXPIRES_SECONDS": "12"}
    gallery = Gallery(request.param, tmp_path / "data", env=env)
    yield gallery
    gallery.stop()
    print(gallery.log)


def press_until(page, name: str, text: str) -> None:
    """Press a button until the page answers this: it may be sent just now, to check the key."""
    answer = ""
    while answer != text:  # the test's own time limit ends it
        with page.expect_response("**/cancel") as response:
            page.get_by_role("button", name=name).click()
        answer = response.value.json()["text"]
    expect(page.locator("#notice")).to_have_text(text)


def test_a_wrong_key_is_put_right_and_a_prompt_is_edited(gallery, new_person, screenshot):
    """The page says why nothing comes, and its buttons do the rest without another line typed."""
    gallery.emulate(creates=[{"do": "status", "status": 401}])
    page = new_person()
    send(page, PROMPTS)
    expect(page.locator("#waits")).to_contain_text("the API rejects the API key")
    press_until(page, "Cancel: A zebra at night", "Cancelled. Nothing was sent or charged.")
    screenshot(page, "waits")
    wait_until_over(page, "3 of 3 done: 2 failed, 1 cancelled")
    expect(page.locator(".reason", has_text="The API rejects the API key")).to_have_count(2)
    page.get_by_role("link", name="Failed 3").click()
    screenshot(page, "failed-only")
    gallery.emulate(**AT_ONCE)

    page.get_by_role("button", name="Try again what failed").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_have_text("2 run again; nothing had been charged.")
    expect(page.locator("#cards li")).to_have_count(1)
    page.get_by_role("button", name="Try again: A zebra at night").click()
    expect(page.locator("#empty")).to_have_text("Nothing has failed.")
    wait_until_over(page, "3 of 3 done: 3 ready")
    assert 3 == gallery.stats()["created"]

    page.get_by_role("link", name="All 3").click()
    page.get_by_role("link", name="Edit and generate again: A fox").click()
    expect(page.get_by_text("charged again. Estimated cost: price unknown")).to_be_visible()
    screenshot(page, "again")
    page.get_by_label("Prompt 2").fill("A blue fox at noon")
    page.get_by_role("button", name="Generate again").dblclick()
    wait_until_over(page, "3 of 3 done: 3 ready")
    page.get_by_role("link", name="attempt 2").click()
    expect(page.locator(".cards img")).to_have_count(2)
    assert 4 == gallery.stats()["created"]
    page.get_by_role("link", name="No, go back").click()

    with page.expect_download() as download:
        page.get_by_role("link", name="Download all (zip)").click()
    names = zipfile.ZipFile(download.value.path()).namelist()
    assert [f"{n:04d} {name}.png" for n, name in enumerate(NEWEST, 1)] == names


def test_what_waits_is_cancelled(gallery: Gallery, new_person):
    """All of it by one button, which is gone then; nothing was sent, and the page says so."""
    gallery.emulate(creates=[{"do": "status", "status": 402}])
    page = new_person()
    send(page, PROMPTS)
    expect(page.locator("#waits")).to_contain_text("balance")

    page.get_by_role("button", name="Cancel what waits").click()

    expect(page.locator("#notice")).to_contain_text("cancelled. Nothing of that was sent")
    # The one that asked the API meanwhile whether there is a balance ends when it expires.
    expect(page.locator("#text")).to_contain_text("3 of 3 done: ")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert 0 == gallery.stats()["created"]
