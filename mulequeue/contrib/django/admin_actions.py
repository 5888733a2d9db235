"""The actions of the admin pages. They ask before an action that costs money, and report errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from celery import chain
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

import mulequeue
from mulequeue.contrib.django.again import cost_text
from mulequeue.contrib.django.mirror import mirror
from mulequeue.contrib.django.models import FAILED, Batch, Generation
from mulequeue.contrib.django.responses import zip_response
from mulequeue.contrib.zip_stream import Entry, file_entries
from mulequeue.engine.worker_context import worker_context
from mulequeue.errors import MuleQueueError
from mulequeue.outcome import File
from mulequeue.tasks.retry import Retried

_SHORT = 60


class ActionsAdmin(admin.ModelAdmin):
    """Read-only admin pages, because only the mirror writes rows. The actions change the ledger."""

    class Media:
        css: ClassVar = {"all": ("mulequeue/admin.css",)}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may cancel generations and start billed ones."""
        return bool(request.user.has_perm("mulequeue.operate_generation"))

    def failed(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of generations that did not succeed, or that contain such generations."""
        return rows.filter(state__in=FAILED)

    def generations(self, rows: QuerySet[Any]) -> QuerySet[Generation]:
        """Return the generations that the rows are or contain."""
        return rows

    @admin.action(
        description="Try again what failed (asks before it is charged again)",
        permissions=["operate"],
    )
    def retry(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Retry the failed generations. If any may be charged a second time, ask before the first is retried."""
        plans = self.do(request, self.failed(rows), lambda row: retry(row, dry_run=True))
        paid = sum(len(plan.paid) for plan in plans.values())
        if paid and "confirmed" not in request.POST:
            cost = cost_text((plan.usd, plan.unpriced) for plan in plans.values())
            total = sum(len(plan.task_ids) for plan in plans.values())
            return self.confirm(
                request,
                rows=list(plans),
                question=f"{total} will run again; {paid} of them the API had accepted, so that they "
                f"may be charged a second time. Cost of all: {cost}.",
                button="Yes, try again",
            )
        self.do(request, plans, retry, rows, "run again")
        return None

    @admin.action(description="Download the files as a zip archive", permissions=["view"])
    def download_files(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse:
        entries, name = (
            _entries(self.generations(rows).iterator()),
            self.opts.verbose_name_plural,
        )
        return zip_response(request, entries, worker_context().settings, name=f"{name}.zip")

    def confirm(self, request: HttpRequest, **asked: Any) -> HttpResponse:
        """Return the page that asks for confirmation of an action that costs money.

        :param asked: ``rows``, ``question``, ``button`` (its text), and optionally a ``prompt`` to edit.
        """
        context = {
            **self.admin_site.each_context(request),
            "title": "Are you sure?",
            "opts": self.opts,
            "action": request.POST["action"],
            "list_url": request.path,
            "media": self.media,
            **asked,
        }
        return TemplateResponse(request, "admin/mulequeue/confirm.html", context)

    def do(
        self,
        request: HttpRequest,
        eligible: Iterable[Any],
        act: Callable[[Any], Any],
        selected: QuerySet[Any] | None = None,
        done_text: str = "",
    ) -> dict[Any, Any]:
        """Call ``act`` with each eligible row, show its errors to the user, and return the results by row.

        :param selected: the rows that the user selected. The user is shown how many of them were processed and
            how many were not. None: show no numbers.
        :param done_text: the words after the first of these numbers.
        """
        done = {}
        for row in eligible:
            try:
                done[row] = act(row)
            except (MuleQueueError, RedisError, OperationalError) as exc:
                self.message_user(request, f"{row}: {exc}", messages.ERROR)
        if selected is not None:
            skipped = selected.count() - len(done)
            self.message_user(request, f"{len(done)} {done_text}, {skipped} unchanged.")
        return done


def _entries(rows: Iterable[Generation]) -> Iterator[Entry]:
    """Yield the entries of rows, named by task id and prompt. Rows are used, because records expire earlier."""
    for row in rows:
        name = f"{row.pk} {row.prompt[:_SHORT]}".strip()
        if not row.files:
            yield Entry(name, missing=row.state_and_reason)
        at = None if row.finished_at is None else row.finished_at.timestamp()
        yield from file_entries([File(**item) for item in row.files], name, at=at)


def cancel(row: Generation | Batch) -> None:
    mulequeue.cancel(row.pk)
    mirrored = Generation.objects.filter(Q(pk=row.pk) | Q(batch=row.pk))
    mirror(mirrored.values_list("pk", flat=True))


def resume(row: Generation) -> None:
    chain(mulequeue.resume(row.pk), mulequeue.download.s()).delay()


def retry(row: Generation | Batch, *, dry_run: bool = False) -> Retried:
    plan = mulequeue.retry(row.pk, failed=True, unknown=True, dry_run=dry_run)
    if not dry_run:
        mirror(plan.task_ids)
    return plan
