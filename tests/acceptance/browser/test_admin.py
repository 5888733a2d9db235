"""Django's admin pages over what the gallery made, as the operator has them."""

from __future__ import annotations

import pytest
from support.gallery import send, wait_until_over

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = api.expect

PROMPTS = [
    "A zebra in the rain, under an umbrella of leaves",
    "<b>A forbidden</b> garden 🦓 behind a brass gate",
    "A teapot that dreams of the sea, " + "and of waves, " * 20,
]
REASON = "Not in this garden."
LIST = "/admin/mulequeue/generation/"
WIDTHS = """async () => Promise.all([...document.querySelectorAll("#result_list img")].map(
  async (image) => { image.loading = "eager"; await image.decode(); return image.naturalWidth; }))"""


@pytest.fixture
def operator(gallery, new_person):
    """A page of somebody who has made three generations, one of which failed, and is an administrator."""
    refused = {"contains": "forbidden", "end": "failed", "code": 3001, "detail": REASON}
    gallery.emulate(lives=[{**refused, "seconds": 0.1}, {"seconds": 0.1}])
    page = new_person()
    expect(page.get_by_text("emulated: nothing is charged")).to_be_visible()
    send(page, PROMPTS)
    gallery.make_administrator("root", "secret")
    wait_until_over(page, "3 of 3 done: 2 ready, 1 failed")
    page.goto(f"/admin/login/?next={LIST}")
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()
    return page


@pytest.mark.parametrize("gallery", ["django"], indirect=True)
def test_an_operator_sees_filters_finds_and_repeats(gallery, operator, new_person, screenshot):
    """Thumbnails load without MEDIA_URL, a failure says why, and one click on an action repeats it."""
    page = operator
    rows = page.locator("#result_list tbody tr")
    zebra = rows.filter(has_text="A zebra in the rain")
    expect(rows.filter(has_text=PROMPTS[1])).to_contain_text(f"failed: {REASON}")
    assert all(width > 0 for width in page.evaluate(WIDTHS))
    assert page.get_by_role("img", name=PROMPTS[0]).count()
    screenshot(page, "admin")
    picture = zebra.locator("img").get_attribute("src")
    assert new_person().request.get(picture).url.startswith(f"{gallery.url}/admin/login/")

    page.get_by_role("link", name="failed", exact=True).click()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="All").first.click()
    page.get_by_role("textbox").first.fill("zebra umbrella")
    page.get_by_role("button", name="Search").click()
    expect(rows).to_have_count(1)
    zebra.get_by_role("link", name=PROMPTS[0]).last.click()
    page.get_by_role("img", name=PROMPTS[0]).wait_for()
    screenshot(page, "admin-one")

    gallery.emulate(lives=[{"seconds": 0.1}])
    page.goto(f"{LIST}?state__exact=failed")
    rows.get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("generate_again")
    page.locator("button[name=index]").click()  # "Go", from Django 6.1 on "Run"
    expect(page.get_by_label("Prompt")).to_have_value(PROMPTS[1])
    screenshot(page, "admin-confirm")
    page.get_by_role("button", name="Yes, generate again").click()
    expect(page.get_by_text("1 started again, 0 unchanged.")).to_be_visible()
    found = f"{LIST}?q=forbidden"
    while "/files/0/" not in page.request.get(found).text():  # the test's own time limit ends it
        pass
    page.goto(found)
    assert all(width > 0 for width in page.evaluate(WIDTHS))

    page.goto("/admin/mulequeue/batch/")
    page.get_by_role("link", name="2 succeeded", exact=True).click()
    expect(rows).to_have_count(2)
