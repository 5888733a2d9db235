"""What the galleries' buttons do, in both hosts, with a worker and the emulated API."""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from celery import Celery
from support.gallery import Gallery
from support.redis_server import RedisServer
from support.waiting import wait_until

import mulequeue

EXPIRES_SECONDS = 4
NOT_HERE = {"contains": "forbidden", "end": "failed", "code": 3001, "detail": "Not here."}
AT_ONCE: dict[str, Any] = {"lives": [{"seconds": 0.1}], "creates": []}


@pytest.fixture(scope="module", params=["flask", "django"])
def _running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gallery, RedisServer]]:
    pytest.importorskip(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    redis = RedisServer(folder, persistent=True)
    env = {"GALLERY_EXPIRES_SECONDS": str(EXPIRES_SECONDS)}
    gallery = Gallery(request.param, folder / "data", redis_url=redis.url, env=env)
    yield gallery, redis
    gallery.stop()
    redis.stop()


@pytest.fixture
def gallery(_running: tuple[Gallery, RedisServer]) -> Iterator[Gallery]:
    """A gallery whose generations take a moment."""
    _running[0].emulate(**AT_ONCE)
    yield _running[0]
    print(_running[0].log)
    print((_running[0].data / "worker.log").read_text()[-20_000:])


@pytest.fixture
def paused(_running: tuple[Gallery, RedisServer]) -> Iterator[None]:
    """Nothing is submitted while the test runs."""
    app = Celery(broker=_running[1].url, set_as_current=False)
    assert mulequeue.pause(app=app)
    yield
    assert mulequeue.unpause(app=app)


class Visitor:
    """A browser without scripts, or with the page's script if it asks for JSON."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery, self.session = gallery, requests.Session()
        self.session.trust_env = False
        self.album = ""

    def get(self, path: str = "") -> str:
        answer = self.session.get(f"{self.album or self.gallery.url}{path}", timeout=60)
        assert 200 == answer.status_code, answer.text
        return html.unescape(answer.text)

    def start(self, *prompts: str) -> None:
        """Send the form."""
        self.album = ""
        page = self.get("/")
        hidden = {name: self.hidden(page, name) for name in ("csrfmiddlewaretoken", "form")}
        form = {**hidden, "prompts": "\n".join(prompts), "model": "alibaba/wan2.6-t2i"}
        answer = self.session.post(f"{self.gallery.url}/", data=form, timeout=60)
        assert "/albums/" in answer.url, answer.text
        self.album = answer.url.rstrip("/")

    def hidden(self, page: str, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', page)
        assert found is not None, page
        return found[1]

    def press(self, action: str, **fields: Any) -> str:
        """Send a form of a page without scripts; the page that follows."""
        home = self.session.get(f"{self.gallery.url}/", timeout=60)
        token = self.hidden(home.text, "csrfmiddlewaretoken")
        data = {"csrfmiddlewaretoken": token, **fields}
        answer = self.session.post(f"{self.album}/{action}", data=data, timeout=60)
        assert answer.status_code in (200, 422), answer.text
        return html.unescape(answer.text)

    def wait_for(self, text: str) -> str:
        """The page once it has that text; if that does not come, the error has what it has instead."""
        page = ""

        def look() -> bool:
            nonlocal page
            page = self.get("/")
            return text in page

        try:
            wait_until(look, what=text)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{page}") from None
        return page


@pytest.fixture
def visitor(gallery: Gallery) -> Visitor:
    return Visitor(gallery)


def test_a_wrong_key_is_shown_and_put_right_with_one_button(
    gallery: Gallery, visitor: Visitor
) -> None:
    """The reason is on the page while it waits and at its end; then all run again at once, each paid once."""
    before = gallery.stats()["created"]
    gallery.emulate(creates=[{"do": "status", "status": 401}])
    visitor.start("a mule", "a fox", "a zebra")
    visitor.wait_for("Nothing is sent: ")
    page = visitor.wait_for("3 of 3 done: 3 failed")
    assert 3 == page.count('class="reason"')
    assert page.count("The API rejects the API key") == 3
    assert 3 == visitor.get("/?show=failed").count('<li class="card failed"')
    gallery.emulate(**AT_ONCE)

    said = visitor.press("retry")

    assert "3 run again; nothing had been charged." in said
    visitor.wait_for("3 of 3 done: 3 ready")
    assert "Nothing has failed." in visitor.get("/?show=failed")
    assert before + 3 == gallery.stats()["created"]


def test_what_was_paid_is_tried_again_after_a_question(gallery: Gallery, visitor: Visitor) -> None:
    """The page names number and cost; only its own button starts it, and once."""
    gallery.emulate(lives=[{**NOT_HERE, "seconds": 0.1}, {"seconds": 0.1}])
    visitor.start("a forbidden door", "a forbidden gate", "a mule")
    visitor.wait_for("3 of 3 done: 1 ready, 2 failed")
    created = gallery.stats()["created"]
    gallery.emulate(**AT_ONCE)

    page = visitor.press("retry")

    assert "Estimated cost of 2: <b>price unknown</b>" in page
    assert "a forbidden gate" in page
    token = visitor.hidden(page, "confirmed")
    assert "<h1>Try again?</h1>" in visitor.press("retry", confirmed="another")
    assert created == gallery.stats()["created"]
    one = visitor.press("retry", index=0)
    assert "Estimated cost of 1" in one
    assert "1 runs again" in visitor.press(
        "retry", index=0, confirmed=visitor.hidden(one, "confirmed")
    )
    assert "<h1>Try again?</h1>" in visitor.press("retry", confirmed=token), "it has shown two"
    rest = visitor.hidden(visitor.get("/retry"), "confirmed")
    assert "1 runs again" in visitor.press("retry", confirmed=rest)
    visitor.wait_for("3 of 3 done: 3 ready")
    assert "There is nothing to try again." in visitor.press("retry", confirmed=rest)
    assert created + 2 == gallery.stats()["created"]


def test_what_is_finished_is_not_cancelled(gallery: Gallery, visitor: Visitor) -> None:
    """Nothing changes, and the page says so."""
    visitor.start("a mule")
    visitor.wait_for("1 of 1 done: 1 ready")

    assert "It is finished already. Nothing was changed." in visitor.press("cancel", index=0)
    assert "Nothing waits any more, so nothing was cancelled." in visitor.press("cancel")

    assert "1 of 1 done: 1 ready" in visitor.get("/")


def test_what_was_sent_is_not_cancelled(gallery: Gallery, visitor: Visitor) -> None:
    """It is charged, so it goes on to its picture."""
    gallery.emulate(lives=[{"seconds": 4}])
    visitor.start("a mule")
    visitor.wait_for("1 generating")

    assert "Nothing was cancelled." in visitor.press("cancel", index=0)
    assert "Nothing waits any more" in visitor.press("cancel")

    visitor.wait_for("1 of 1 done: 1 ready")


@pytest.mark.usefixtures("paused")
def test_what_waits_is_cancelled(gallery: Gallery, visitor: Visitor) -> None:
    """One or all: nothing of it is ever sent; what somebody has cancelled runs again only alone."""
    created = gallery.stats()["created"]
    visitor.start("a fox", "a zebra", "a horse")
    visitor.wait_for("3 waiting")

    assert "Cancelled. Nothing was sent or charged." in visitor.press("cancel", index=1)
    assert "2 cancelled. Nothing of that was sent or charged." in visitor.press("cancel")

    visitor.wait_for("3 of 3 done: 3 cancelled")
    assert "Nothing waits any more" in visitor.press("cancel")
    assert "There is nothing to try again." in visitor.press("retry")
    assert "1 runs again; nothing had been charged." in visitor.press("retry", index=2)
    visitor.wait_for("2 of 3 done: 2 cancelled, 1 waiting")
    assert "1 cancelled." in visitor.press("cancel")
    assert created == gallery.stats()["created"]


def test_a_prompt_is_edited_and_generated_again(gallery: Gallery, visitor: Visitor) -> None:
    """It is a new generation, linked with the old one, whose picture stays; an old page starts nothing."""
    visitor.start("a mule", "a fox")
    visitor.wait_for("2 of 2 done: 2 ready")
    created = gallery.stats()["created"]

    asked = visitor.get("/1/again")
    assert "charged again. Estimated cost: <b>price unknown</b>" in asked
    fields = {"attempt": visitor.hidden(asked, "attempt")}
    assert "control character" in visitor.press("1/again", prompt="a \x07 fox", **fields)
    assert "at least one prompt" in visitor.press("1/again", prompt=" ", **fields)
    assert created == gallery.stats()["created"]
    visitor.press("1/again", prompt="a blue\nfox", **fields)
    assert "was tried again already" in visitor.press("1/again", prompt="a red fox", **fields)

    page = visitor.wait_for("2 of 2 done: 2 ready")
    assert "a blue fox" in page
    assert "attempt 2" in page
    attempts = visitor.get("/1/again")
    assert 2 == attempts.count("<img")
    assert attempts.index("a blue fox") < attempts.index(">a fox<")
    assert created + 1 == gallery.stats()["created"]


def test_all_pictures_are_one_archive(gallery: Gallery, visitor: Visitor) -> None:
    """By place and prompt; the newest attempt counts, and what is missing is listed."""
    gallery.emulate(lives=[{**NOT_HERE, "seconds": 0.1}, {"seconds": 0.1}])
    visitor.start("a mule", "a forbidden door")
    visitor.wait_for("2 of 2 done: 1 ready, 1 failed")

    answer = visitor.session.get(f"{visitor.album}/zip", timeout=60)

    assert "application/zip" == answer.headers["Content-Type"]
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert ["0001 a mule.png", "missing.txt"] == archive.namelist()
    assert archive.read("0001 a mule.png").startswith(b"\x89PNG")
    assert (
        "0002 a forbidden door: failed: Not here. (3001)\n" == archive.read("missing.txt").decode()
    )


def test_buttons_belong_to_the_album(gallery: Gallery, visitor: Visitor) -> None:
    """Nothing happens without the session's token, for another session, or for a prompt that is not there."""
    visitor.start("a mule")
    visitor.wait_for("1 of 1 done: 1 ready")
    stranger = Visitor(gallery)
    token = stranger.hidden(stranger.get("/"), "csrfmiddlewaretoken")

    for action in ("retry", "cancel", "0/again"):
        url = f"{visitor.album}/{action}"
        assert 403 == visitor.session.post(url, data={"index": "0"}, timeout=60).status_code
        given = {"csrfmiddlewaretoken": token, "index": "0"}
        assert 404 == stranger.session.post(url, data=given, timeout=60).status_code
    for path in ("/zip", "/retry", "/0/again", "/cards"):
        assert 404 == stranger.session.get(f"{visitor.album}{path}", timeout=60).status_code
    for path in ("/retry?index=1", "/retry?index=x", "/1/again"):
        assert 404 == visitor.session.get(f"{visitor.album}{path}", timeout=60).status_code


def test_the_script_is_answered_with_text(gallery: Gallery, visitor: Visitor) -> None:
    """It gets what was done as JSON, or the page that asks."""
    gallery.emulate(lives=[{**NOT_HERE, "seconds": 0.1}])
    visitor.start("a forbidden door")
    page = visitor.wait_for("1 of 1 done: 1 failed")
    data = {"csrfmiddlewaretoken": visitor.hidden(page, "csrfmiddlewaretoken"), "index": "0"}

    def post(action: str) -> Any:
        url, headers = f"{visitor.album}/{action}", {"Accept": "application/json"}
        return visitor.session.post(url, data=data, headers=headers, timeout=60).json()

    assert {"text": "It is finished already. Nothing was changed.", "url": ""} == post("cancel")
    asks = post("retry")
    assert ("", True) == (asks["text"], asks["url"].endswith("/retry?index=0"))
