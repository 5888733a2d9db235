"""Pages for people: what there is, what it came to, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import chain
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

import mulequeue
from mulequeue.contrib.django.mirror import mirror
from mulequeue.contrib.django.models import UNDER_WAY, Batch, Generation
from mulequeue.errors import MuleQueueError

_PROMPT_CHARACTERS = 80
_PICTURE = '<img src="{}" height="{}" loading="lazy" alt="">'
_VIDEO = '<video src="{}" height="{}" preload="metadata" muted controls></video>'
_SOUND = '<audio src="{}" data-height="{}" preload="none" controls></audio>'
_TAGS = {"image": _PICTURE, "video": _VIDEO, "audio": _SOUND}


class ReadOnlyAdmin(ModelAdmin):
    """Rows are written by the mirror alone."""

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may spend money, and throw away what was paid."""
        return bool(request.user.has_perm("mulequeue.operate_generation"))

    def _do(
        self,
        request: HttpRequest,
        asked: QuerySet[Any],
        fitting: QuerySet[Any],
        act: Callable[[Any], Any],
        what: str,
    ) -> None:
        """Act on those it fits; say how many, and why not on the others."""
        done = 0
        for row in fitting:
            try:
                act(row)
                done += 1
            except (MuleQueueError, RedisError, OperationalError) as exc:
                self.message_user(request, f"{row}: {exc}", messages.ERROR)
        skipped = asked.count() - done
        self.message_user(request, f"{done} {what}, {skipped} left as they are.")


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    """Generations with thumbnails."""

    list_display = ("thumbnail", "short_prompt", "state", "model", "batch", "created_at")
    list_display_links = ("thumbnail", "short_prompt")
    list_filter = ("state", "kind", "model", "profile", "created_at")
    list_select_related = ("batch",)
    search_fields = ("prompt", "=task_id", "=remote_id", "=batch__batch_id")
    date_hierarchy = "created_at"
    readonly_fields = ("pictures",)
    actions = ("cancel", "resume", "generate_again")

    @admin.display(description="")
    def thumbnail(self, row: Generation) -> SafeString | str:
        if row.kind == "audio" or not row.urls:
            return "—"
        return format_html(_TAGS.get(row.kind, _PICTURE), row.urls[0], 60)

    @admin.display(description="prompt", ordering="prompt")
    def short_prompt(self, row: Generation) -> str:
        text = row.prompt or row.task_id
        return text if len(text) <= _PROMPT_CHARACTERS else f"{text[:_PROMPT_CHARACTERS]}…"

    @admin.display(description="files")
    def pictures(self, row: Generation) -> SafeString:
        return format_html_join(
            " ", _TAGS.get(row.kind, _PICTURE), ((url, 320) for url in row.urls)
        )

    @admin.action(
        description="Cancel (what the API was given goes on there)", permissions=["operate"]
    )
    def cancel(self, request: HttpRequest, rows: QuerySet[Generation]) -> None:
        under_way = rows.filter(state__in=UNDER_WAY)
        self._do(request, rows, under_way, _cancel, "cancelled")

    @admin.action(description="Resume: wait for it again", permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[Generation]) -> None:
        ended = rows.exclude(state__in=UNDER_WAY).exclude(remote_id="")
        self._do(request, rows, ended, _resume, "taken up again")

    @admin.action(description="Generate again (paid again)", permissions=["operate"])
    def generate_again(self, request: HttpRequest, rows: QuerySet[Generation]) -> None:
        repeatable = rows.filter(input__isnull=False).exclude(api_path="")
        self._do(request, rows, repeatable, _generate_again, "started again")


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """Batches and where they stand."""

    list_display = ("batch_id", "size", "progress", "is_cancelled", "created_at")
    list_filter = ("is_cancelled", "created_at")
    search_fields = ("batch_id",)
    readonly_fields = ("progress",)
    actions = ("cancel",)

    @admin.display(description="members")
    def progress(self, row: Batch) -> str:
        return ", ".join(f"{count} {state}" for state, count in sorted(row.counts().items())) or "—"

    @admin.action(description="Cancel what is under way", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Batch]) -> None:
        self._do(request, rows, rows, _cancel_batch, "cancelled")


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
