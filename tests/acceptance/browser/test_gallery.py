"""The galleries of the examples, as the people have them who use them."""

from __future__ import annotations

import pytest
import requests
from support.gallery import MOST_MILLISECONDS, send, wait_until_over

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = api.expect

PROMPTS = [
    "A mule carrying a grand piano over a mountain pass",
    "A lighthouse made of stained glass in a winter storm",
    "Paper boats with candles drifting down a river at night",
    "A tiny bakery on the back of a sleeping tortoise",
    "Hot-air balloons over terraced rice fields in morning fog",
    "A forbidden garden behind a brass gate",
    "A violet desert under two moons, one of them cracked",
    "Foxes reading newspapers in a café in the rain",
    "<script>document.title='taken'</script> & <b>bold</b> moves",
    "A village of treehouses joined by lantern-lit rope bridges",
    "A clockwork hummingbird drinking from a glass tulip",
    "Snow falling upwards in a quiet birch forest",
]
REASON = "Not in this garden."

WATCH = """() => {
  window.seen = [];
  const bar = document.querySelector("#bar");
  const note = () => { if (window.seen.at(-1) !== bar.value) window.seen.push(bar.value); };
  note();
  new MutationObserver(note).observe(bar, { attributes: true });
}"""
WIDTHS = """() => [...document.querySelectorAll("#cards img")].map((image) => image.naturalWidth)"""
LOAD = """() => Promise.all([...document.querySelectorAll("#cards img")].map((image) => {
  image.loading = "eager";
  return image.decode();
}))"""
# Playwright's own way of typing takes half a minute for ten thousand lines.
PASTE = """(field, text) => {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}"""
CARDS = """() => [...document.querySelectorAll("#cards li")].map((card) =>
  [card.dataset.version, [...card.querySelectorAll("img")].map((image) => image.getAttribute("src"))])"""


def test_twelve_prompts_become_twelve_pictures(gallery, new_person, screenshot):
    """Progress moves, a failure says why and is tried again by keyboard, and a reload changes nothing."""
    gallery.emulate(
        lives=[{"contains": "forbidden", "end": "failed", "code": 3001, "detail": REASON}]
    )
    page, before_us = new_person(), gallery.stats()["created"]
    send(page, PROMPTS)
    page.evaluate(WATCH)
    expect(page.locator("#cards img").first).to_be_visible(timeout=MOST_MILLISECONDS)
    screenshot(page, "under-way")

    wait_until_over(page, "12 of 12 done: 11 ready, 1 failed")
    timeline = page.locator("#cards li").first.locator("details.timeline")
    timeline.locator("summary").click()
    expect(timeline.get_by_text("generating")).to_be_visible()
    timeline.locator("summary").click()
    failed = page.locator("#card-6")
    expect(failed.locator(".reason")).to_have_text(f"{REASON} (3001)")
    expect(page.get_by_role("status")).to_have_text("12 of 12 done: 11 ready, 1 failed")
    page.evaluate(LOAD)
    screenshot(page, "failed")
    seen = page.evaluate("window.seen")
    gallery.emulate(lives=[{"seconds": 0.1}])
    page.get_by_role("button", name="Try again …: A forbidden garden").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Estimated cost of 1: price unknown")).to_be_visible()
    screenshot(page, "ask")
    page.get_by_role("button", name="Yes, try 1 again").click()
    expect(page.get_by_text("1 runs again.")).to_be_visible()

    wait_until_over(page, "12 of 12 done: 12 ready")
    page.evaluate(LOAD)
    assert all(width > 0 for width in page.evaluate(WIDTHS))
    cards = page.evaluate(CARDS)
    assert [1] * 12 == [len(pictures) for _, pictures in cards], cards
    assert seen[:1] == [0]
    assert len(set(seen)) > 3
    assert PROMPTS == page.locator(".caption > p:first-child").all_inner_texts()
    assert "taken" != page.title()
    screenshot(page, "ready", widths=[1440], schemes=["light"])
    before = page.evaluate(CARDS)
    page.reload()
    expect(page.locator("#text")).to_have_text("12 of 12 done: 12 ready")
    page.evaluate(LOAD)
    assert before == page.evaluate(CARDS)
    stats = gallery.stats()
    assert (13, 0) == (stats["created"] - before_us, stats["auth_leaks"])
    page.get_by_role("link", name="New prompts").click()
    expect(page.get_by_role("link", name=PROMPTS[0])).to_be_visible()
    screenshot(page, "form")


def test_a_video_plays_and_seeks(gallery, new_person, screenshot):
    """It knows how long it is, plays, and can be entered in the middle."""
    gallery.emulate(lives=[{"seconds": 0.1}])
    page = new_person()
    send(page, ["A mule walks into a bar"], model="google/veo-3.1-fast")
    wait_until_over(page, "1 of 1 done: 1 ready")

    video = page.locator("#card-1 video")
    length = video.evaluate(
        """async (video) => {
          await video.play();
          video.pause();
          video.currentTime = video.duration / 2;
          await new Promise((done) => video.addEventListener("seeked", done, { once: true }));
          return [video.videoWidth, video.duration, video.currentTime];
        }"""
    )
    assert all(number > 0 for number in length)
    part = page.request.get(video.get_attribute("src"), headers={"Range": "bytes=4-7"})
    assert (206, b"ftyp") == (part.status, part.body())
    none = page.request.get(video.get_attribute("src"), headers={"Range": "bytes=999999999-"})
    assert 416 == none.status
    screenshot(page, "video")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Type at least one prompt."),
        ("fine\nring the \x07 bell", "Line 2 has a control character (U+0007)"),
        ("fine\n" + "a" * 20_001, "A prompt has 20,001 characters, which is too long."),
        ("a\n" * 10_001, "10,001 prompts are too many."),
    ],
    ids=["nothing", "control character", "long", "many"],
)
def test_what_cannot_be_taken_is_said_at_the_field(new_person, typed, words):
    """The message belongs to the field, which has the focus and what was typed; nothing is sent on."""
    page = new_person()
    field = page.get_by_label("Prompts, one per line")
    field.evaluate(PASTE, typed)
    page.get_by_role("button", name="Generate").click()

    expect(page.get_by_role("alert").first).to_contain_text(words)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    assert "prompts-error" in (field.get_attribute("aria-describedby") or "")
    assert len(typed) == len(field.input_value())


@pytest.mark.parametrize(
    ("typed", "status", "words"),
    [
        ("a" * 20_001, 422, "Line 1 has 20,001 characters; a prompt may have 20,000."),
        ("a\n" * 10_001, 422, "10,001 prompts are too many; 10,000 can be sent at once."),
        ("a" * 9_000_000, 413, "All prompts together are larger than 8 MB."),
        ("nul \0 byte", 422, "Line 1 has a control character (U+0000)"),
        ("a\n" + "b" * 2001, 422, "has 2001 characters; it takes at most 2000"),
    ],
    ids=["long", "many", "huge", "nul", "too long for the model"],
)
def test_the_server_has_the_last_word(new_person, typed, status, words):
    """Without the page's script the same limits hold, with a page that says so."""
    page = new_person()
    token = page.locator("input[name=csrfmiddlewaretoken]").first.input_value()

    form = {"csrfmiddlewaretoken": token, "model": "alibaba/wan2.6-t2i", "prompts": typed}
    answer = page.request.post("/", form=form)

    assert status == answer.status
    assert words in answer.text()


def test_an_album_is_paid_once_and_its_sessions_alone(gallery, new_person):
    """The form sent twice starts nothing new. Somebody else is told that nothing is there."""
    gallery.emulate(lives=[{"seconds": 0.1}])
    page, other = new_person(), new_person()
    hidden = {
        name: page.locator(f"input[name={name}]").first.input_value()
        for name in ("csrfmiddlewaretoken", "form")
    }
    form = {**hidden, "prompts": "A mule with a secret", "model": "alibaba/wan2.6-t2i"}
    before = gallery.stats()["creates"]

    first, second = (page.request.post("/", form=form) for _ in range(2))
    assert first.url == second.url
    page.goto(first.url)
    wait_until_over(page, "1 of 1 done: 1 ready")
    assert before + 1 == gallery.stats()["creates"]

    album, image = first.url, page.locator("#card-1 img").get_attribute("src")
    for path in (album, f"{album}cards", f"{album}events", image):
        assert 404 == other.request.get(path).status
        assert 200 == page.request.get(path).status
    for path in ("/", f"{album}0/again", f"{album}retry", f"{album}cancel"):
        assert 403 == page.request.post(path, form={"prompts": "a"}).status
    html = page.content()
    assert "A mule with a secret" in html
    for hidden_text in ("emulator", "file:", "django://", str(gallery.data), gallery.emulator):
        assert hidden_text not in html


def test_a_second_tab_pays_nothing(gallery, new_person):
    """Of two tabs that show the same failure, the second click starts nothing; without scripts it works too."""
    gallery.emulate(lives=[{"end": "failed", "code": 3001, "detail": REASON, "seconds": 0.1}])
    page, before_us = new_person(), gallery.stats()["created"]
    send(page, ["A forbidden garden"])
    wait_until_over(page, "1 of 1 done: 1 failed")
    other = page.context.new_page()
    page.route(
        "**/gallery.js", lambda route: route.fulfill(body="", content_type="text/javascript")
    )
    for tab in (page, other):
        tab.goto(page.url)
    gallery.emulate(lives=[{"seconds": 0.1}])

    for tab in (page, other):
        tab.get_by_role("button", name="Try again …:").click()
        tab.wait_for_url("**/retry?index=0")
    page.get_by_role("button", name="Yes, try 1 again").click()
    while not page.locator("#cards img").count():  # the test's own time limit ends it
        page.reload()
    other.get_by_role("button", name="Yes, try 1 again").click()
    wait_until_over(other, "1 of 1 done: 1 ready")

    expect(other.locator("#cards img")).to_have_count(1)
    assert before_us + 2 == gallery.stats()["created"]


def test_the_webhook_needs_no_form(gallery):
    """MuleRouter has no session; what is not signed is refused for that reason alone."""
    answer = requests.post(f"{gallery.url}/mulequeue/webhook/", data=b"{}", timeout=10)

    assert 503 == answer.status_code
    assert "no secret is set" in answer.text
