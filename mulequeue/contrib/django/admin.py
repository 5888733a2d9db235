"""The admin pages of generations and batches."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from mulequeue.contrib.django import admin_fields as show
from mulequeue.contrib.django.admin_actions import ActionsAdmin, cancel, resume
from mulequeue.contrib.django.again import cost_of, cost_text, generate_again
from mulequeue.contrib.django.expenses import sums_line
from mulequeue.contrib.django.models import FAILED, UNDER_WAY, Batch, Generation, State
from mulequeue.contrib.django.responses import file_response
from mulequeue.engine.worker_context import worker_context
from mulequeue.outcome import File


class OutcomeFilter(admin.SimpleListFilter):
    """Filter by outcome: did not succeed, under way, or ready."""

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

    list_display = (
        *(show.thumbnail, show.short_prompt, show.state_and_reason),
        *("model", show.estimate, show.created),
    )
    list_display_links = (show.thumbnail, show.short_prompt)
    list_filter = (OutcomeFilter, "state", "kind", "model", "profile", "created_at")
    search_fields = ("prompt", "=task_id", "=remote_id", "=batch__batch_id")
    search_help_text = "Words of the prompt, or a complete task id, remote id or batch id."
    date_hierarchy = "created_at"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *(show.result, "prompt", show.metadata, "state", show.reason, "model", "batch"),
                    *(show.repeated, show.estimate),
                    *(show.created, show.submitted, show.finished, show.timeline),
                )
            },
        ),
        ("Input and result", {"fields": (show.parameters, show.files, "kind", "polls")}),
        (
            "Identification",
            {"fields": ("task_id", "remote_id", "profile", "api_path", show.row_written)},
        ),
    )
    readonly_fields = tuple(filter(callable, flatten_fieldsets(fieldsets)))
    actions = ("retry", "cancel", "resume", "generate_again", "download_files")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the list, and the estimated cost of all rows that match the filters, on all pages."""
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if "cl" in context:
            context["estimated_cost"] = sums_line(context["cl"].queryset)
        return response

    def render_change_form(self, request: HttpRequest, context: Any, **options: Any) -> Any:
        """Show the page of a generation with buttons for its actions, if the user may operate generations."""
        row = context.get("original")
        if row is not None and self.has_operate_permission(request):
            context["operations"] = _operations(row)
        return super().render_change_form(request, context, **options)

    def get_urls(self) -> list[Any]:
        serve = self.admin_site.admin_view(self.file)
        view = path("<path:pk>/files/<int:number>/", serve, name=show.FILE_VIEW)
        return [view, *super().get_urls()]

    def file(self, request: HttpRequest, pk: str, number: int) -> HttpResponse:
        """Serve a stored file to users with permission to view its row. It is used without a public URL."""
        row = self.get_object(request, unquote(pk))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None or number >= len(row.files):
            raise Http404
        return file_response(request, File(**row.files[number]), worker_context().settings)

    @admin.action(
        description="Cancel (the API still finishes and charges accepted generations)",
        permissions=["operate"],
    )
    def cancel(self, request: HttpRequest, rows: QuerySet[Generation]) -> None:
        self.do(request, rows.filter(state__in=UNDER_WAY), cancel, rows, "cancelled")

    @admin.action(
        description="Resume: wait again for the same generation (no new charge)",
        permissions=["operate"],
    )
    def resume(self, request: HttpRequest, rows: QuerySet[Generation]) -> None:
        ended = rows.exclude(state__in=UNDER_WAY).exclude(remote_id="")
        self.do(request, ended, resume, rows, "resumed")

    @admin.action(
        description="Generate again as a new generation (asks; charged again)",
        permissions=["operate"],
    )
    def generate_again(
        self, request: HttpRequest, rows: QuerySet[Generation]
    ) -> HttpResponse | None:
        """Repeat the selected generations whose input is known; ask first, because they are charged again."""
        repeatable = list(rows.filter(input__isnull=False).exclude(api_path=""))
        if repeatable and "confirmed" not in request.POST:
            many = f"{len(repeatable)} generation{'' if len(repeatable) == 1 else 's'}"
            cost = cost_text(map(cost_of, repeatable))
            return self.confirm(
                request,
                rows=repeatable,
                question=f"{many} will be made again and charged again. Cost: {cost}.",
                button="Yes, generate again",
                prompt=repeatable[0].prompt if len(repeatable) == 1 else None,
            )
        again = partial(generate_again, prompt=request.POST.get("prompt"))
        self.do(request, repeatable, again, rows, "started again")
        return None


@admin.register(Batch)
class BatchAdmin(ActionsAdmin):
    """The pages of the batches, with their progress."""

    list_display = ("batch_id", "size", "progress", "cost", show.created)
    list_filter = ("is_cancelled", "created_at")
    search_fields = ("batch_id",)
    readonly_fields = ("progress", "cost", show.created)
    fields = list_display
    actions = ("retry", "cancel", "download_files")

    def failed(self, rows: QuerySet[Batch]) -> QuerySet[Batch]:
        return rows.filter(generations__state__in=FAILED).distinct()

    def generations(self, rows: QuerySet[Batch]) -> QuerySet[Generation]:
        return Generation.objects.filter(batch__in=rows).order_by("pk")

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
        self.do(request, {*unfinished, *missing}, cancel, rows, "cancelled")


def _operations(row: Generation) -> list[tuple[str, str]]:
    """Return the name and the button's text of each action that the page of a generation offers."""
    if not row.is_over:
        return [("cancel", "Cancel")]
    found = [("retry", "Try again")] if row.state in FAILED else []
    return [*found, ("generate_again", "Generate again…")] if row.input else found
