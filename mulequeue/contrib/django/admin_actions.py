"""Act on the rows of the admin pages: ask before what costs money, and report errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from celery import chain
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

import mulequeue
from mulequeue.contrib.django.again import cost_of, cost_text, generate_again
from mulequeue.contrib.django.mirror import mirror
from mulequeue.contrib.django.models import Batch, Generation
from mulequeue.errors import MuleQueueError
from mulequeue.tasks.retry import Retried


class ActionsAdmin(ModelAdmin):
    """Read-only pages, because only the mirror writes rows; their actions change the ledger."""

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
            request, selected, eligible, lambda row: plans.update({row: retry(row, dry_run=True)})
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
        self._do(request, selected, list(plans), retry, "run again")
        return None

    def _generate_again(
        self, request: HttpRequest, selected: QuerySet[Generation]
    ) -> HttpResponse | None:
        """Generate again what has an input; ask first, because it is charged again."""
        repeatable = list(selected.filter(input__isnull=False).exclude(api_path=""))
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
        self._do(
            request, selected, repeatable, lambda row: generate_again(row, prompt), "started again"
        )
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


def cancel_generation(row: Generation) -> None:
    mulequeue.cancel(row.task_id)
    mirror([row.task_id])


def cancel_batch(row: Batch) -> None:
    mulequeue.cancel(row.batch_id)
    mirror(row.generations.values_list("pk", flat=True))


def resume_generation(row: Generation) -> None:
    chain(mulequeue.resume(row.task_id), mulequeue.download.s()).delay()


def retry(row: Generation | Batch, *, dry_run: bool = False) -> Retried:
    plan = mulequeue.retry(row.pk, failed=True, unknown=True, dry_run=dry_run)
    if not dry_run:
        mirror(plan.task_ids)
    return plan
