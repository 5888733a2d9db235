"""The pages."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from gallery import album as shown
from gallery import fields, pages
from kombu.exceptions import OperationalError

from django_gallery import models
from django_gallery.tasks import start_album
from mulequeue.contrib.django.responses import event_stream, file_response
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
        (album.shown(), album.texts(0, 1)[0], reverse("album", args=[album.pk]))
        for album in models.Album.objects.filter(owner=owner(request))[:20]
    ]
    context = {**_base(), **pages.home(typed, errors, mine)}
    return render(request, "gallery/home.html", context, status=status)


@require_GET
def album(request: HttpRequest, album_id: str) -> HttpResponse:
    return render(request, "gallery/album.html", {**_base(), **_page(request, album_id)})


@require_GET
def cards(request: HttpRequest, album_id: str) -> HttpResponse:
    return render(request, "gallery/_cards.html", _page(request, album_id))


@require_GET
def events(request: HttpRequest, album_id: str) -> StreamingHttpResponse:
    found, ledger = _mine(request, album_id).shown(), worker_context().ledger
    return event_stream(request, lambda: shown.progress(ledger, found))


@require_POST
def again(request: HttpRequest, album_id: str, index: int) -> HttpResponse:
    mine = _mine(request, album_id)
    found = mine.shown()
    if index >= found.size:
        raise Http404
    (prompt,) = mine.texts(index, 1)
    (card,) = _cards(found, [prompt], index)
    attempt = found.attempts.get(index, 0) + 1
    # A click on a card that is older than the last attempt must not start a paid generation.
    is_newest = card["retry_url"] and card["version"] == request.POST.get("version")
    if is_newest:
        # In this order: if Redis does not answer, the card stays and can be clicked again.
        shown.start_again(found, index, attempt, prompt)
        models.note_attempt(album_id, index, attempt)
    page = index // shown.PAGE + 1
    return redirect(f"{reverse('album', args=[album_id])}?page={page}#card-{index + 1}")


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
    mine = _mine(request, album_id)
    found = mine.shown()
    given = request.GET.get("page", "1")
    page = shown.pages(found, int(given) if given.isdecimal() and len(given) < 9 else 1)
    made = _cards(found, mine.texts(page["first"], shown.PAGE), page["first"])
    return pages.album(
        found,
        shown.progress(worker_context().ledger, found),
        made,
        page,
        events=reverse("events", args=[album_id]),
        cards_url=f"{reverse('cards', args=[album_id])}?page={page['number']}",
    )


def _cards(found: shown.Album, prompts: list[str], first: int) -> list[dict[str, Any]]:
    def file_url(task_id: str, number: int) -> str:
        return reverse("file", args=[task_id, number])

    def retry_url(index: int) -> str:
        return reverse("again", args=[found.album_id, index])

    return shown.cards(worker_context().ledger, found, prompts, first, file_url, retry_url)


def _base() -> dict[str, Any]:
    names = {"css": "gallery.css", "js": "gallery.js", "icon": "icon.svg"}
    files = {name: static(f"gallery/{file}") for name, file in names.items()}
    return {"host": "Django", "urls": {"home": reverse("home"), **files}}
