"""Admin pages: generations and batches, and their outcomes."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from redis.exceptions import RedisError

from mulequeue.catalog.usd import format_usd
from mulequeue.contrib.django import texts
from mulequeue.contrib.django.admin_actions import (
    ActionsAdmin,
    cancel_batch,
    cancel_generation,
    resume_generation,
)
from mulequeue.contrib.django.expenses import sums_line
from mulequeue.contrib.django.models import FAILED, UNDER_WAY, Batch, Generation, State
from mulequeue.contrib.django.previews import FILE_VIEW, file_urls, previews
from mulequeue.contrib.django.responses import file_response, zip_response
from mulequeue.contrib.django.zipped import row_entries
from mulequeue.contrib.timeline_svg import timeline_svg
from mulequeue.engine.worker_context import worker_context
from mulequeue.ledger.timeline import phases_of
from mulequeue.outcome import File

_TIMES = ("created", "submitted", "finished")
_TEXTS = ("reason", "own_data", "parameters", "results", "repeats", "mirrored")


class OutcomeFilter(admin.SimpleListFilter):
    """Filter by outcome: to be retried, in progress, or ready."""

    title = "outcome"
    parameter_name = "outcome"
    _STATES: ClassVar = {
        "failed": ("did not succeed", FAILED),
        "active": ("under way", UNDER_WAY),
        "ready": ("ready", (State.SUCCEEDED,)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, text) for name, (text, _) in self._STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        _, states = self._STATES.get(self.value() or "", ("", None))
        return queryset if states is None else queryset.filter(state__in=states)


@admin.register(Generation)
class GenerationAdmin(ActionsAdmin):
    """The pages of the generations, with thumbnails."""

    list_display = ("thumbnail", "short_prompt", "state_and_reason", "model", "estimate", "created")
    list_display_links = ("thumbnail", "short_prompt")
    list_filter = (OutcomeFilter, "state", "kind", "model", "profile", "created_at")
    search_fields = ("prompt", "=task_id", "=remote_id", "=batch__batch_id")
    search_help_text = "Words of the prompt, or a complete task id, remote id or batch id."
    date_hierarchy = "created_at"
    readonly_fields = ("pictures", "estimate", "timeline", *_TEXTS, *_TIMES)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("pictures", "prompt", "own_data", "state", "reason", "model", "batch"),
                    *("repeats", "estimate", *_TIMES, "timeline"),
                )
            },
        ),
        ("Input and result", {"fields": ("parameters", "results", "kind", "polls")}),
        (
            "Identification",
            {"fields": ("task_id", "remote_id", "profile", "api_path", "mirrored")},
        ),
    )
    actions = ("retry", "cancel", "resume", "generate_again", "download_files")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the list, and the estimated cost of all its rows, also of other pages."""
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if "cl" in context:
            context["estimated_cost"] = sums_line(context["cl"].queryset)
        return response

    def render_change_form(self, request: HttpRequest, context: Any, **options: Any) -> Any:
        """Show buttons for the actions on one generation."""
        row = context.get("original")
        if row is not None and self.has_operate_permission(request):
            context["operations"] = _operations(row)
        return super().render_change_form(request, context, **options)

    def get_urls(self) -> list[Any]:
        serve = self.admin_site.admin_view(self.file)
        return [path("<path:pk>/files/<int:number>/", serve, name=FILE_VIEW), *super().get_urls()]

    def file(self, request: HttpRequest, pk: str, number: int) -> HttpResponse:
        """Serve a stored file without a public URL to users with permission to view its row."""
        row = self.get_object(request, unquote(pk))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None or number >= len(row.files):
            raise Http404
        return file_response(request, File(**row.files[number]), worker_context().settings)

    @admin.display(description="file")
    def thumbnail(self, row: Generation) -> SafeString | str:
        urls = [] if row.kind == "audio" else file_urls(row)
        return previews(row, urls[:1], 60) if urls else "—"

    @admin.display(description="prompt", ordering="prompt")
    def short_prompt(self, row: Generation) -> str:
        return texts.short_prompt(row)

    @admin.display(description="state", ordering="state")
    def state_and_reason(self, row: Generation) -> str:
        parts = (row.get_state_display(), texts.reason(row.error))
        return texts.short(": ".join(part for part in parts if part))

    @admin.display(description="reason")
    def reason(self, row: Generation) -> str:
        return texts.error(row.error) or "—"

    @admin.display(description="metadata")
    def own_data(self, row: Generation) -> SafeString | str:
        return texts.pairs(row.metadata)

    @admin.display(description="input")
    def parameters(self, row: Generation) -> SafeString | str:
        return texts.pairs(row.input or {})

    @admin.display(description="files")
    def results(self, row: Generation) -> SafeString | str:
        return texts.links(row, file_urls(row))

    @admin.display(description="repeated")
    def repeats(self, row: Generation) -> SafeString | str:
        before = [("again of", row.again_of)] if row.again_of else []
        after = [("again as", other) for other in row.again.order_by("created_at")]
        links = (
            (word, reverse("admin:mulequeue_generation_change", args=[quote(other.pk)]), other.pk)
            for word, other in [*before, *after]
        )
        return format_html_join(", ", '{} <a href="{}">{}</a>', links) or "—"

    @admin.display(description="created", ordering="created_at")
    def created(self, row: Generation) -> str:
        return texts.moment(row.created_at)

    @admin.display(description="submitted")
    def submitted(self, row: Generation) -> str:
        return texts.moment(row.submitted_at)

    @admin.display(description="finished")
    def finished(self, row: Generation) -> str:
        return texts.moment(row.finished_at, since=row.submitted_at)

    @admin.display(description="row written")
    def mirrored(self, row: Generation) -> str:
        return texts.moment(row.mirrored_at)

    @admin.display(description="cost (estimate)", ordering="estimated_usd")
    def estimate(self, row: Generation) -> str:
        return "—" if row.estimated_usd is None else format_usd(row.estimated_usd)

    @admin.display(description="result")
    def pictures(self, row: Generation) -> SafeString:
        return previews(row, file_urls(row), 320)

    @admin.display(description="timeline")
    def timeline(self, row: Generation) -> SafeString | str:
        """Draw where its time went, while the ledger keeps its record."""
        try:
            queries = worker_context().ledger.queries
            record, now = queries.record(row.task_id), queries.now()
        except RedisError:
            return "—"
        drawing = "" if record is None else timeline_svg(phases_of(record, now))
        return mark_safe(drawing) if drawing else "—"  # it escapes what it draws

    @admin.action(
        description="Cancel (the API still finishes and charges accepted generations)",
        permissions=["operate"],
    )
    def cancel(self, request: HttpRequest, rows: QuerySet[Generation]) -> None:
        under_way = rows.filter(state__in=UNDER_WAY)
        self._do(request, rows, under_way, cancel_generation, "cancelled")

    @admin.action(
        description="Resume: wait again for the same generation (no new charge)",
        permissions=["operate"],
    )
    def resume(self, request: HttpRequest, rows: QuerySet[Generation]) -> None:
        ended = rows.exclude(state__in=UNDER_WAY).exclude(remote_id="")
        self._do(request, rows, ended, resume_generation, "resumed")

    @admin.action(
        description="Try again what failed (asks before it is charged again)",
        permissions=["operate"],
    )
    def retry(self, request: HttpRequest, rows: QuerySet[Generation]) -> HttpResponse | None:
        return self._retry(request, rows, rows.filter(state__in=FAILED))

    @admin.action(
        description="Generate again as a new generation (asks; charged again)",
        permissions=["operate"],
    )
    def generate_again(
        self, request: HttpRequest, rows: QuerySet[Generation]
    ) -> HttpResponse | None:
        return self._generate_again(request, rows)

    @admin.action(description="Download the files as a zip archive", permissions=["view"])
    def download_files(self, request: HttpRequest, rows: QuerySet[Generation]) -> HttpResponse:
        return _download(request, rows, "generations.zip")


@admin.register(Batch)
class BatchAdmin(ActionsAdmin):
    """The pages of the batches, with their progress."""

    list_display = ("batch_id", "size", "progress", "cost", "created")
    list_filter = ("is_cancelled", "created_at")
    search_fields = ("batch_id",)
    readonly_fields = ("progress", "cost", "created")
    fields = list_display
    actions = ("retry", "cancel", "download_files")

    @admin.display(description="created", ordering="created_at")
    def created(self, row: Batch) -> str:
        return texts.moment(row.created_at)

    @admin.display(description="members")
    def progress(self, row: Batch) -> SafeString | str:
        members = reverse("admin:mulequeue_generation_changelist")
        counts = (
            (members, urlencode({"batch__exact": row.pk, "state__exact": state}), count, state)
            for state, count in sorted(row.counts().items())
        )
        links = format_html_join(", ", '<a href="{}?{}">{} {}</a>', counts) or "—"
        return format_html("cancelled: {}", links) if row.is_cancelled else links

    @admin.display(description="cost (estimate)")
    def cost(self, row: Batch) -> str:
        return sums_line(row.generations.all()) or "—"

    @admin.action(description="Cancel unfinished generations", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Batch]) -> None:
        unfinished = rows.filter(generations__state__in=UNDER_WAY).distinct()
        missing = [row for row in rows if row.generations.count() < row.size]
        self._do(request, rows, {*unfinished, *missing}, cancel_batch, "cancelled")

    @admin.action(
        description="Try again what failed (asks before it is charged again)",
        permissions=["operate"],
    )
    def retry(self, request: HttpRequest, rows: QuerySet[Batch]) -> HttpResponse | None:
        return self._retry(request, rows, rows.filter(generations__state__in=FAILED).distinct())

    @admin.action(description="Download the files as a zip archive", permissions=["view"])
    def download_files(self, request: HttpRequest, rows: QuerySet[Batch]) -> HttpResponse:
        members = Generation.objects.filter(batch__in=rows).order_by("pk")
        return _download(request, members, "batch.zip")


def _download(request: HttpRequest, rows: QuerySet[Generation], name: str) -> HttpResponse:
    settings = worker_context().settings
    return zip_response(request, row_entries(rows.iterator()), settings, name=name)


def _operations(row: Generation) -> list[tuple[str, str]]:
    """Return name and text of the actions that the page of a generation offers."""
    if not row.is_over:
        return [("cancel", "Cancel")]
    found = [("retry", "Try again")] if row.state in FAILED else []
    return [*found, ("generate_again", "Generate again…")] if row.input else found
