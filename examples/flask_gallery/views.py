"""The pages."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any

from celery import shared_task
from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    get_flashed_messages,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from gallery import actions, fields, pages
from gallery import album as shown
from gallery.cards import PAGE, card, members
from kombu.exceptions import OperationalError

from flask_gallery.albums import Albums
from mulequeue.contrib.flask import event_stream, file_url, zip_response
from mulequeue.engine.worker_context import worker_context

blueprint = Blueprint("gallery", __name__)


def albums() -> Albums:
    return current_app.extensions["albums"]


def owner() -> str:
    """Return the session's owner id, created at the first visit."""
    session.permanent = True
    return str(session.setdefault("owner", secrets.token_hex(16)))


def ledger() -> Any:
    return worker_context(current_app.extensions["celery"]).ledger


@shared_task(**shown.TASK_OPTIONS)
def start_album(album_id: str) -> None:
    """Enqueue an album in a worker, because 10,000 messages take too long for a web request."""
    if album := albums().find(album_id):
        shown.start(album, albums().originals(album_id))


@blueprint.get("/")
def home() -> str:
    return _home({}, {})


@blueprint.post("/")
def send() -> Any:
    order, errors = fields.read_order(request.form)
    if order is None:
        return _home(request.form, errors), 422
    if refusal := shown.refusal(order.model, order.prompts):
        return _home(request.form, {"prompts": refusal}), 422
    album_id = order.batch_id(owner(), request.form.get("form", ""))
    is_new = albums().add(album_id, owner(), order.model, order.prompts)
    try:
        start_album.delay(album_id)
    except OperationalError:
        if is_new:  # its prompts would stay queued
            albums().remove(album_id)
        return _home(request.form, {"prompts": fields.NOT_STARTED}), 503
    return redirect(url_for(".album", album_id=album_id), 303)


def too_large(_: Exception) -> Any:
    return _home({}, {"prompts": fields.TOO_LARGE}), 413


def no_redis(_: Exception) -> Any:
    return fields.NO_REDIS, 503, {"Content-Type": "text/plain; charset=utf-8"}


def _home(typed: Any, errors: dict[str, str]) -> str:
    mine = [
        (shown_album, title, url_for(".album", album_id=shown_album.album_id))
        for shown_album, title in albums().of(owner())
    ]
    return render_template("gallery/home.html", **_base(), **pages.home(typed, errors, mine))


@blueprint.get("/albums/<album_id>/")
def album(album_id: str) -> str:
    context = _page(_mine(album_id))
    notices = get_flashed_messages()
    return render_template("gallery/album.html", **_base(), **context, notices=notices)


@blueprint.get("/albums/<album_id>/cards")
def cards(album_id: str) -> str:
    return render_template("gallery/_album.html", **_page(_mine(album_id)))


@blueprint.get("/albums/<album_id>/events")
def events(album_id: str) -> Response:
    found, here = _mine(album_id), ledger()
    return event_stream(lambda: shown.progress(here, found))


@blueprint.get("/albums/<album_id>/zip")
def download(album_id: str) -> Response:
    found, context = _mine(album_id), worker_context(current_app.extensions["celery"])
    entries = actions.entries(context.ledger, found)
    return zip_response(entries, context.settings, name=f"gallery-{album_id}.zip")


@blueprint.post("/albums/<album_id>/retry")
def retry(album_id: str) -> Any:
    found = _mine(album_id)
    index = _index(request.form, found)
    result = actions.retry(ledger(), found, index, request.form.get("confirmed", ""))
    asks = url_for(".ask_retry", album_id=album_id, **_given(index)) if result.asks else ""
    return _answer(album_id, result.text, index, asks)


@blueprint.get("/albums/<album_id>/retry")
def ask_retry(album_id: str) -> Any:
    found = _mine(album_id)
    index = _index(request.args, found)
    asked = actions.retry_question(ledger(), found, index, partial(albums().texts, album_id))
    if asked is None:
        return redirect(_album_url(album_id, index), 303)
    context = {"ask": asked, "ask_urls": _ask_urls(album_id, index)}
    notices = get_flashed_messages()
    return render_template("gallery/retry.html", **_base(), **context, notices=notices)


@blueprint.post("/albums/<album_id>/cancel")
def cancel(album_id: str) -> Any:
    found = _mine(album_id)
    index = _index(request.form, found)
    return _answer(album_id, actions.cancel(ledger(), found, index).text, index)


@blueprint.get("/albums/<album_id>/<int:index>/again")
def ask_again(album_id: str, index: int) -> str:
    found = _mine(album_id)
    _index({"index": str(index)}, found)
    (prompt,) = albums().texts(album_id, [index])
    return _again_page(found, index, actions.again_question(found, index, prompt))


@blueprint.post("/albums/<album_id>/<int:index>/again")
def again(album_id: str, index: int) -> Any:
    found = _mine(album_id)
    _index({"index": str(index)}, found)
    attempt = found.attempts.get(index, 0) + 1
    # A page that is older than the newest attempt must not start a paid generation.
    if request.form.get("attempt") != str(attempt):
        return _answer(album_id, actions.STALE, index)
    prompt, wrong = fields.read_prompt(found.model, request.form.get("prompt", ""))
    if wrong := wrong or shown.refusal(found.model, [prompt]):
        asked = actions.again_question(found, index, prompt, wrong)
        return _again_page(found, index, asked), 422
    # In this order: if Redis does not answer, the page can be sent again.
    shown.start_again(found, index, attempt, prompt)
    albums().note_attempt(album_id, index, attempt, prompt)
    return redirect(_album_url(album_id, index), 303)


def _again_page(found: shown.Album, index: int, asked: dict[str, Any]) -> str:
    made = [
        card(member, text, file_url)
        for number, text in enumerate(albums().attempts(found.album_id, index))
        for member in members(ledger(), found, [index], is_over=True, attempt=number)
    ]
    urls = _ask_urls(found.album_id, index)
    context = {"ask": asked, "ask_urls": urls, "cards": made[::-1]}
    return render_template("gallery/again.html", **_base(), **context)


def _answer(album_id: str, text: str, index: int | None, asks: str = "") -> Any:
    """Return what was done: as JSON to the page's script, else on the next page.

    :param asks: the URL of the page that asks before the rest.
    """
    is_script = request.headers.get("Accept") == "application/json"
    if text and (asks or not is_script):
        flash(text)
    if is_script:
        return {"text": text, "url": asks}
    return redirect(asks or _album_url(album_id, index), 303)


def _album_url(album_id: str, index: int | None = None) -> str:
    if index is None:
        return url_for(".album", album_id=album_id)
    page = index // PAGE + 1
    return url_for(".album", album_id=album_id, page=page, _anchor=f"card-{index + 1}")


def _ask_urls(album_id: str, index: int | None) -> dict[str, str]:
    urls = {"album": _album_url(album_id, index), "retry": url_for(".retry", album_id=album_id)}
    if index is not None:
        urls["again"] = url_for(".again", album_id=album_id, index=index)
    return urls


def _index(given: Mapping[str, str], found: shown.Album) -> int | None:
    try:
        return pages.index_of(given, found)
    except ValueError:
        abort(404)


def _given(index: int | None) -> dict[str, int]:
    return {} if index is None else {"index": index}


def _mine(album_id: str) -> shown.Album:
    return albums().find(album_id, owner()) or abort(404)


def _page(found: shown.Album) -> dict[str, Any]:
    def again_url(index: int) -> str:
        return url_for(".ask_again", album_id=found.album_id, index=index)

    names = ("cards", "events", "retry", "cancel")
    urls = {name: url_for(f".{name}", album_id=found.album_id) for name in names}
    urls |= {
        "page": url_for(".album", album_id=found.album_id),
        "zip": url_for(".download", album_id=found.album_id),
    }
    texts = partial(albums().texts, found.album_id)
    return pages.album(ledger(), found, request.args, texts, file_url, again_url, urls)


def _base() -> dict[str, Any]:
    names = {"css": "gallery.css", "js": "gallery.js", "icon": "icon.svg"}
    files = {name: url_for("static", filename=f"gallery/{file}") for name, file in names.items()}
    return {
        "host": "Flask",
        "emulated": pages.is_emulated(),
        "urls": {"home": url_for(".home"), **files},
    }
