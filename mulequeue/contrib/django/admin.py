"""Admin pages: generations and batches, their outcomes, and actions on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlencode

from celery import chain
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

import mulequeue
from mulequeue.catalog.usd import format_usd
from mulequeue.contrib.django import texts
from mulequeue.contrib.django.again import cost_of, cost_text
from mulequeue.contrib.django.again import generate_again as again
from mulequeue.contrib.django.expenses import sums_line
from mulequeue.contrib.django.mirror import mirror
from mulequeue.contrib.django.models import (
    FAILED,
    UNDER_WAY,
    Batch,
    Generation,
    State,
    public_url,
)
from mulequeue.contrib.django.responses import file_response, zip_response
from mulequeue.contrib.django.zipped import row_entries
from mulequeue.contrib.timeline_svg import timeline_svg
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import MuleQueueError
from mulequeue.ledger.timeline import phases_of
from mulequeue.outcome import File
from mulequeue.tasks.retry import Retried

_SHORT = 80
_TIMES = ("created", "submitted", "finished")
_TEXTS = ("reason", "own_data", "parameters", "results", "repeats", "mirrored")
_FILE = "mulequeue_generation_file"
_PICTURE = '<img src="{}" height="{}" loading="lazy" alt="{}">'
_VIDEO = '<video src="{}" height="{}" preload="metadata" muted controls aria-label="{}"></video>'
_SOUND = '<audio src="{}" data-height="{}" preload="none" controls aria-label="{}"></audio>'
_TAGS = {"image": _PICTURE, "video": _VIDEO, "audio": _SOUND}


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

    def _confirm(
        self,
        request: HttpRequest,
        rows: Sequence[Any],
        question: str,
        button: str,
        prompt: str | None = None,
    ) -> HttpResponse:
        """Return the page that asks before an action that costs money.

        :param prompt: may be edited there; None: it is not shown.
        """
        context = {
            **self.admin_site.each_context(request),
            "title": "Are you sure?",
            "opts": self.opts,
            "rows": rows,
            "action": request.POST["action"],
            "question": question,
            "button": button,
            "prompt": prompt,
            "list_url": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/mulequeue/confirm.html", context)

    def _retry(
        self, request: HttpRequest, selected: QuerySet[Any], eligible: Iterable[Any]
    ) -> HttpResponse | None:
        """Run again what was refused unpaid; ask before what may be charged a second time."""
        plans: dict[Any, Retried] = {}
        self._do(
            request, selected, eligible, lambda row: plans.update({row: _retry(row, dry_run=True)})
        )
        paid = sum(len(plan.paid) for plan in plans.values())
        if paid and "confirmed" not in request.POST:
            known = sum((plan.usd for plan in plans.values()), Decimal(0))
            cost = cost_text(known, sum(plan.unpriced for plan in plans.values()))
            total = sum(len(plan.task_ids) for plan in plans.values())
            return self._confirm(
                request,
                list(plans),
                f"{total} will run again; {paid} of them the API had accepted, so that they may be "
                f"charged a second time. Cost of all: {cost}.",
                "Yes, try again",
            )
        self._do(request, selected, list(plans), _retry, "run again")
        return None

    def _do(
        self,
        request: HttpRequest,
        selected: QuerySet[Any],
        eligible: Iterable[Any],
        act: Callable[[Any], Any],
        done_text: str = "",
    ) -> None:
        """Act on the eligible rows. Report the errors, and with a text the number of rows."""
        done = 0
        for row in eligible:
            try:
                act(row)
                done += 1
            except (MuleQueueError, RedisError, OperationalError) as exc:
                self.message_user(request, f"{row}: {exc}", messages.ERROR)
        if done_text:
            skipped = selected.count() - done
            self.message_user(request, f"{done} {done_text}, {skipped} unchanged.")


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    """The pages of the generations, with thumbnails."""

    list_display = (
        "thumbnail",
        "short_prompt",
        "state_and_reason",
        "model",
        "estimate",
        "created",
    )
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
                    "pictures",
                    "prompt",
                    "own_data",
                    "state",
                    "reason",
                    "model",
                    "batch",
                    "repeats",
                    "estimate",
                    *_TIMES,
                    "timeline",
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
        return [path("<path:pk>/files/<int:number>/", serve, name=_FILE), *super().get_urls()]

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
        urls = [] if row.kind == "audio" else _urls(row)
        return _shown(row, urls[:1], 60) if urls else "—"

    @admin.display(description="prompt", ordering="prompt")
    def short_prompt(self, row: Generation) -> str:
        return _cut(_prompt(row))

    @admin.display(description="state", ordering="state")
    def state_and_reason(self, row: Generation) -> str:
        reason = texts.reason(row.error)
        return _cut(f"{row.get_state_display()}: {reason}" if reason else row.get_state_display())

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
        return texts.links(row, _urls(row))

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
        return _shown(row, _urls(row), 320)

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
        self._do(request, rows, under_way, _cancel, "cancelled")

    @admin.action(
        description="Resume: wait again for the same generation (no new charge)",
        permissions=["operate"],
    )
    def resume(self, request: HttpRequest, rows: QuerySet[Generation]) -> None:
        ended = rows.exclude(state__in=UNDER_WAY).exclude(remote_id="")
        self._do(request, rows, ended, _resume, "resumed")

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
        repeatable = list(rows.filter(input__isnull=False).exclude(api_path=""))
        if repeatable and "confirmed" not in request.POST:
            cost = cost_text(*cost_of(repeatable))
            many = f"{len(repeatable)} generation{'' if len(repeatable) == 1 else 's'}"
            return self._confirm(
                request,
                repeatable,
                f"{many} will be made again and charged again. Cost: {cost}.",
                "Yes, generate again",
                repeatable[0].prompt if len(repeatable) == 1 else None,
            )
        prompt = request.POST.get("prompt")
        self._do(request, rows, repeatable, lambda row: again(row, prompt), "started again")
        return None

    @admin.action(description="Download the files as a zip archive", permissions=["view"])
    def download_files(self, request: HttpRequest, rows: QuerySet[Generation]) -> HttpResponse:
        return _download(request, rows, "generations.zip")


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
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
        self._do(request, rows, {*unfinished, *missing}, _cancel_batch, "cancelled")

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


def _urls(row: Generation) -> list[str]:
    """Return the URLs of the files for the administrator's browser."""
    stored = [
        public_url(item) or reverse(f"admin:{_FILE}", args=[quote(row.pk), number])
        for number, item in enumerate(row.files)
    ]
    return stored or row.urls


def _shown(row: Generation, urls: list[str], height: int) -> SafeString:
    tag, words = _TAGS.get(row.kind, _PICTURE), _cut(_prompt(row))
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


def _retry(row: Generation | Batch, *, dry_run: bool = False) -> Retried:
    plan = mulequeue.retry(row.pk, failed=True, unknown=True, dry_run=dry_run)
    if not dry_run:
        mirror(plan.task_ids)
    return plan


def _prompt(row: Generation) -> str:
    """Return the prompt; of an adopted generation that has none, its remote id."""
    return row.prompt or (f"adopted: {row.remote_id}" if row.remote_id else row.task_id)


def _operations(row: Generation) -> list[tuple[str, str]]:
    """Return name and text of the actions that the page of a generation offers."""
    if not row.is_over:
        return [("cancel", "Cancel")]
    found = [("retry", "Try again")] if row.state in FAILED else []
    return [*found, ("generate_again", "Generate again…")] if row.input else found
