"""Admin pages: generations and batches, their outcomes, and actions on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlencode

from celery import chain
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

import mulequeue
from mulequeue.contrib.django.mirror import mirror
from mulequeue.contrib.django.models import UNDER_WAY, Batch, Generation, public_url
from mulequeue.contrib.django.responses import file_response
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import MuleQueueError
from mulequeue.outcome import File

_SHORT = 80
_TIMES = ("created_at", "submitted_at", "finished_at")
_FILE = "mulequeue_generation_file"
_PICTURE = '<img src="{}" height="{}" loading="lazy" alt="{}">'
_VIDEO = '<video src="{}" height="{}" preload="metadata" muted controls aria-label="{}"></video>'
_SOUND = '<audio src="{}" data-height="{}" preload="none" controls aria-label="{}"></audio>'
_TAGS = {"image": _PICTURE, "video": _VIDEO, "audio": _SOUND}


class ReadOnlyAdmin(ModelAdmin):
    """Read-only pages, because only the mirror writes rows."""

    class Media:
        css: ClassVar = {"all": ("mulequeue/admin.css",)}

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may start billed generations and cancel them."""
        return bool(request.user.has_perm("mulequeue.operate_generation"))

    def _do(
        self,
        request: HttpRequest,
        selected: QuerySet[Any],
        eligible: QuerySet[Any],
        act: Callable[[Any], Any],
        done_text: str,
    ) -> None:
        """Act on the eligible rows. Report the number of rows and the errors."""
        done = 0
        for row in eligible:
            try:
                act(row)
                done += 1
            except (MuleQueueError, RedisError, OperationalError) as exc:
                self.message_user(request, f"{row}: {exc}", messages.ERROR)
        skipped = selected.count() - done
        self.message_user(request, f"{done} {done_text}, {skipped} unchanged.")


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    """The pages of the generations, with thumbnails."""

    list_display = ("thumbnail", "short_prompt", "state_and_reason", "model", "created_at")
    list_display_links = ("thumbnail", "short_prompt")
    list_filter = ("state", "kind", "model", "profile", "created_at")
    search_fields = ("prompt", "=task_id", "=remote_id", "=batch__batch_id")
    search_help_text = "Words of the prompt, or a complete task id, remote id or batch id."
    date_hierarchy = "created_at"
    readonly_fields = ("pictures",)
    fieldsets = (
        (None, {"fields": ("pictures", "prompt", "state", "error", "model", "batch", *_TIMES)}),
        ("Input and result", {"fields": ("input", "assets", "files", "kind", "polls")}),
        (
            "Identification",
            {"fields": ("task_id", "remote_id", "profile", "api_path", "mirrored_at")},
        ),
    )
    actions = ("cancel", "resume", "generate_again")

    def get_urls(self) -> list[Any]:
        serve = self.admin_site.admin_view(self.file)
        return [path("<path:pk>/files/<int:number>/", serve, name=_FILE), *super().get_urls()]

    def file(self, request: HttpRequest, pk: str, number: int) -> HttpResponse:
        """Serve a stored file without a public URL to users with permission to view its row."""
        row = self.get_object(request, pk)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None or number >= len(row.files):
            raise Http404
        return file_response(request, File(**row.files[number]), worker_context().settings)

    @admin.display(description="file")
    def thumbnail(self, row: Generation) -> SafeString | str:
        urls = [] if row.kind == "audio" else _urls(row)
        return _shown(row, urls[:1], 60) if urls else "—"

    @admin.display(description="prompt", ordering="prompt")
    def short_prompt(self, row: Generation) -> str:
        return _cut(row.prompt or row.task_id)

    @admin.display(description="state", ordering="state")
    def state_and_reason(self, row: Generation) -> str:
        error = row.error or {}
        reason = error.get("detail") or error.get("title") or error.get("type")
        return _cut(f"{row.get_state_display()}: {reason}" if reason else row.get_state_display())

    @admin.display(description="result")
    def pictures(self, row: Generation) -> SafeString:
        return _shown(row, _urls(row), 320)

    @admin.action(
        description="Cancel (the API still finishes and charges accepted generations)",
        permissions=["operate"],
    )
    def cancel(self, request: HttpRequest, rows: QuerySet[Generation]) -> None:
        under_way = rows.filter(state__in=UNDER_WAY)
        self._do(request, rows, under_way, _cancel, "cancelled")

    @admin.action(
        description="Resume: wait again for the same generation (no new charge)",
        permissions=["operate"],
    )
    def resume(self, request: HttpRequest, rows: QuerySet[Generation]) -> None:
        ended = rows.exclude(state__in=UNDER_WAY).exclude(remote_id="")
        self._do(request, rows, ended, _resume, "resumed")

    @admin.action(description="Generate again (charged again)", permissions=["operate"])
    def generate_again(self, request: HttpRequest, rows: QuerySet[Generation]) -> None:
        repeatable = rows.filter(input__isnull=False).exclude(api_path="")
        self._do(request, rows, repeatable, _generate_again, "started again")


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """The pages of the batches, with their progress."""

    list_display = ("batch_id", "size", "progress", "created_at")
    list_filter = ("is_cancelled", "created_at")
    search_fields = ("batch_id",)
    readonly_fields = ("progress",)
    fields = list_display
    actions = ("cancel",)

    @admin.display(description="members")
    def progress(self, row: Batch) -> SafeString | str:
        members = reverse("admin:mulequeue_generation_changelist")
        counts = (
            (members, urlencode({"batch__exact": row.pk, "state__exact": state}), count, state)
            for state, count in sorted(row.counts().items())
        )
        links = format_html_join(", ", '<a href="{}?{}">{} {}</a>', counts) or "—"
        return format_html("cancelled: {}", links) if row.is_cancelled else links

    @admin.action(description="Cancel unfinished generations", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Batch]) -> None:
        self._do(request, rows, rows, _cancel_batch, "cancelled")


def _urls(row: Generation) -> list[str]:
    """Return the URLs of the files for the administrator's browser."""
    stored = [
        public_url(item) or reverse(f"admin:{_FILE}", args=[row.pk, number])
        for number, item in enumerate(row.files)
    ]
    return stored or row.urls


def _shown(row: Generation, urls: list[str], height: int) -> SafeString:
    tag, words = _TAGS.get(row.kind, _PICTURE), _cut(row.prompt or row.task_id)
    return format_html_join(" ", tag, ((url, height, words) for url in urls))


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[:_SHORT].rstrip()}…"


def _cancel(row: Generation) -> None:
    mulequeue.cancel(row.task_id)
    mirror([row.task_id])


def _cancel_batch(row: Batch) -> None:
    mulequeue.cancel(row.batch_id)
    mirror(row.generations.values_list("pk", flat=True))


def _resume(row: Generation) -> None:
    chain(mulequeue.resume(row.task_id), mulequeue.download.s()).delay()


def _generate_again(row: Generation) -> None:
    model = row.model or row.api_path
    again = mulequeue.generate.s(model, row.input, profile=row.profile)
    chain(again, mulequeue.download.s()).delay()
