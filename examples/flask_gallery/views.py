"""The pages."""

from __future__ import annotations

import secrets
from typing import Any

from celery import shared_task
from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from gallery import album as shown
from gallery import fields, pages
from kombu.exceptions import OperationalError

from flask_gallery.albums import Albums
from mulequeue.contrib.flask import event_stream, file_url
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
        shown.start(album, albums().prompts(album_id))


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
    return render_template("gallery/album.html", **_base(), **context)


@blueprint.get("/albums/<album_id>/cards")
def cards(album_id: str) -> str:
    return render_template("gallery/_cards.html", **_page(_mine(album_id)))


@blueprint.get("/albums/<album_id>/events")
def events(album_id: str) -> Response:
    found, here = _mine(album_id), ledger()
    return event_stream(lambda: shown.progress(here, found))


@blueprint.post("/albums/<album_id>/<int:index>/again")
def again(album_id: str, index: int) -> Any:
    found = _mine(album_id)
    if not 0 <= index < found.size:
        abort(404)
    (prompt,) = albums().prompts(album_id, index, 1)
    (card,) = _cards(found, [prompt], index)
    attempt = found.attempts.get(index, 0) + 1
    # A click on a card that is older than the last attempt must not start a paid generation.
    is_newest = card["retry_url"] and card["version"] == request.form.get("version")
    if is_newest:
        # In this order: if Redis does not answer, the card stays and can be clicked again.
        shown.start_again(found, index, attempt, prompt)
        albums().note_attempt(album_id, index, attempt)
    page = index // shown.PAGE + 1
    return redirect(
        url_for(".album", album_id=album_id, page=page, _anchor=f"card-{index + 1}"), 303
    )


def _mine(album_id: str) -> shown.Album:
    return albums().find(album_id, owner()) or abort(404)


def _page(found: shown.Album) -> dict[str, Any]:
    page = shown.pages(found, request.args.get("page", 1, type=int))
    prompts = albums().prompts(found.album_id, page["first"], shown.PAGE)
    made = _cards(found, prompts, page["first"])
    return pages.album(
        found,
        shown.progress(ledger(), found),
        made,
        page,
        events=url_for(".events", album_id=found.album_id),
        cards_url=url_for(".cards", album_id=found.album_id, page=page["number"]),
    )


def _cards(found: shown.Album, prompts: list[str], first: int) -> list[dict[str, Any]]:
    def retry_url(index: int) -> str:
        return url_for(".again", album_id=found.album_id, index=index)

    return shown.cards(ledger(), found, prompts, first, file_url, retry_url)


def _base() -> dict[str, Any]:
    names = {"css": "gallery.css", "js": "gallery.js", "icon": "icon.svg"}
    files = {name: url_for("static", filename=f"gallery/{file}") for name, file in names.items()}
    return {"host": "Flask", "urls": {"home": url_for(".home"), **files}}
