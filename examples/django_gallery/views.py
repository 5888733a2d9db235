"""The pages."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.contrib.messages import get_messages
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from gallery import actions, fields, pages
from gallery import album as shown
from gallery.cards import PAGE, card, members
from kombu.exceptions import OperationalError

from django_gallery import models
from django_gallery.tasks import start_album
from mulequeue.contrib.django.responses import event_stream, file_response, zip_response
from mulequeue.engine.worker_context import worker_context


def owner(request: HttpRequest) -> str:
    """Return the session's owner id, created at the first visit."""
    return str(request.session.setdefault("owner", secrets.token_hex(16)))


@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _home(request, {}, {})
    order, errors = fields.read_order(request.POST)
    if order is None:
        return _home(request, request.POST, errors, status=422)
    if refusal := shown.refusal(order.model, order.prompts):
        return _home(request, request.POST, {"prompts": refusal}, status=422)
    album_id = order.batch_id(owner(request), request.POST.get("form", ""))
    is_new = models.keep(album_id, owner(request), order.model, order.prompts)
    try:
        start_album.delay(album_id)
    except OperationalError:
        if is_new:  # its prompts would stay queued
            models.Album.objects.filter(pk=album_id).delete()
        return _home(request, request.POST, {"prompts": fields.NOT_STARTED}, status=503)
    return redirect("album", album_id=album_id)


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django rejected before any view was called."""
    if isinstance(exception, RequestDataTooBig):
        return _home(request, {}, {"prompts": fields.TOO_LARGE}, status=413)
    return HttpResponse("Bad request", status=400, content_type="text/plain")


def _home(request: HttpRequest, typed: Any, errors: dict[str, str], status: int = 200) -> Any:
    mine = [
        (album.shown(), album.texts([0])[0], reverse("album", args=[album.pk]))
        for album in models.Album.objects.filter(owner=owner(request))[:20]
    ]
    context = {**_base(), **pages.home(typed, errors, mine)}
    return render(request, "gallery/home.html", context, status=status)


@require_GET
def album(request: HttpRequest, album_id: str) -> HttpResponse:
    context = {**_base(), **_page(request, album_id), "notices": get_messages(request)}
    return render(request, "gallery/album.html", context)


@require_GET
def cards(request: HttpRequest, album_id: str) -> HttpResponse:
    return render(request, "gallery/_album.html", _page(request, album_id))


@require_GET
def events(request: HttpRequest, album_id: str) -> StreamingHttpResponse:
    found, ledger = _mine(request, album_id).shown(), worker_context().ledger
    return event_stream(request, lambda: shown.progress(ledger, found))


@require_GET
def download(request: HttpRequest, album_id: str) -> StreamingHttpResponse:
    found, context = _mine(request, album_id).shown(), worker_context()
    entries = actions.entries(context.ledger, found)
    return zip_response(request, entries, context.settings, name=f"gallery-{album_id}.zip")


@require_http_methods(["GET", "POST"])
def retry(request: HttpRequest, album_id: str) -> HttpResponse:
    mine = _mine(request, album_id)
    found, ledger = mine.shown(), worker_context().ledger
    if request.method == "GET":
        index = _index(request.GET, found)
        asked = actions.retry_question(ledger, found, index, mine.texts)
        if asked is None:
            return redirect(_album_url(album_id, index))
        context = {"ask": asked, "ask_urls": _ask_urls(album_id, index)}
        context |= {**_base(), "notices": get_messages(request)}
        return render(request, "gallery/retry.html", context)
    index = _index(request.POST, found)
    result = actions.retry(ledger, found, index, request.POST.get("confirmed", ""))
    query = "" if index is None else f"?index={index}"
    asks = f"{reverse('retry', args=[album_id])}{query}" if result.asks else ""
    return _answer(request, album_id, result.text, index, asks)


@require_POST
def cancel(request: HttpRequest, album_id: str) -> HttpResponse:
    found = _mine(request, album_id).shown()
    index = _index(request.POST, found)
    result = actions.cancel(worker_context().ledger, found, index)
    return _answer(request, album_id, result.text, index)


@require_http_methods(["GET", "POST"])
def again(request: HttpRequest, album_id: str, index: int) -> HttpResponse:
    mine = _mine(request, album_id)
    found = mine.shown()
    _index({"index": str(index)}, found)
    if request.method == "GET":
        (prompt,) = mine.texts([index])
        return _again_page(request, mine, index, actions.again_question(found, index, prompt))
    attempt = found.attempts.get(index, 0) + 1
    # A page that is older than the newest attempt must not start a paid generation.
    if request.POST.get("attempt") != str(attempt):
        return _answer(request, album_id, actions.STALE, index)
    prompt, wrong = fields.read_prompt(found.model, request.POST.get("prompt", ""))
    if wrong := wrong or shown.refusal(found.model, [prompt]):
        asked = actions.again_question(found, index, prompt, wrong)
        return _again_page(request, mine, index, asked, status=422)
    # In this order: if Redis does not answer, the page can be sent again.
    shown.start_again(found, index, attempt, prompt)
    models.note_attempt(album_id, index, attempt, prompt)
    return redirect(_album_url(album_id, index))


def _again_page(
    request: HttpRequest, mine: models.Album, index: int, asked: dict[str, Any], status: int = 200
) -> HttpResponse:
    ledger, found = worker_context().ledger, mine.shown()
    made = [
        card(member, text, _file_url)
        for number, text in enumerate(mine.attempts(index))
        for member in members(ledger, found, [index], is_over=True, attempt=number)
    ]
    urls = _ask_urls(mine.album_id, index)
    context = {**_base(), "ask": asked, "ask_urls": urls, "cards": made[::-1]}
    return render(request, "gallery/again.html", context, status=status)


def _answer(
    request: HttpRequest, album_id: str, text: str, index: int | None, asks: str = ""
) -> HttpResponse:
    """Return what was done: as JSON to the page's script, else on the next page.

    :param asks: the URL of the page that asks before the rest.
    """
    is_script = request.headers.get("Accept") == "application/json"
    if text and (asks or not is_script):
        messages.info(request, text)
    if is_script:
        return JsonResponse({"text": text, "url": asks})
    return redirect(asks or _album_url(album_id, index))


def _album_url(album_id: str, index: int | None = None) -> str:
    url = reverse("album", args=[album_id])
    return url if index is None else f"{url}?page={index // PAGE + 1}#card-{index + 1}"


def _ask_urls(album_id: str, index: int | None) -> dict[str, str]:
    urls = {"album": _album_url(album_id, index), "retry": reverse("retry", args=[album_id])}
    if index is not None:
        urls["again"] = reverse("again", args=[album_id, index])
    return urls


def _index(given: Mapping[str, str], found: shown.Album) -> int | None:
    try:
        return pages.index_of(given, found)
    except ValueError:
        raise Http404 from None


@require_GET
def file(request: HttpRequest, task_id: str, number: int) -> HttpResponse:
    _mine(request, shown.album_of(task_id))
    here = worker_context()
    record = here.ledger.queries.record(task_id)
    if record is None or number >= len(record.files):
        raise Http404
    return file_response(request, record.files[number], here.settings)


def _mine(request: HttpRequest, album_id: str) -> models.Album:
    return get_object_or_404(models.Album, pk=album_id, owner=owner(request))


def _page(request: HttpRequest, album_id: str) -> dict[str, Any]:
    def again_url(index: int) -> str:
        return reverse("again", args=[album_id, index])

    mine, ledger = _mine(request, album_id), worker_context().ledger
    names = ("cards", "events", "retry", "cancel", "zip")
    urls = {name: reverse(name, args=[album_id]) for name in names}
    urls["page"] = reverse("album", args=[album_id])
    return pages.album(ledger, mine.shown(), request.GET, mine.texts, _file_url, again_url, urls)


def _file_url(task_id: str, number: int) -> str:
    return reverse("file", args=[task_id, number])


def _base() -> dict[str, Any]:
    names = {"css": "gallery.css", "js": "gallery.js", "icon": "icon.svg"}
    files = {name: static(f"gallery/{file}") for name, file in names.items()}
    return {
        "host": "Django",
        "emulated": pages.is_emulated(),
        "urls": {"home": reverse("home"), **files},
    }
