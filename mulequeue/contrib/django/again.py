"""Generate again what a row shows, with what followed it the first time."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from decimal import Decimal

from celery import chain
from django.db import transaction
from django.utils import timezone

from mulequeue import catalog
from mulequeue.catalog.usd import format_usd
from mulequeue.contrib.django.models import Generation, State
from mulequeue.contrib.django.on_commit import send_on_commit
from mulequeue.errors import InputError
from mulequeue.settings.costs import estimate
from mulequeue.tasks.definitions import download, generate


def generate_again(row: Generation, prompt: str | None = None) -> Generation:
    """Start another generation with the input of a row; it is charged again.

    What followed the first one in its chain follows this one, such as the row that gets the picture.

    :param prompt: another prompt; None: the same.
    :returns: the row of the new generation, which names the first one.
    """
    input = dict(row.input or {})
    if prompt is not None:
        input[prompt_field(row)] = prompt
    call = {"profile": row.profile, **({"metadata": row.metadata} if row.metadata else {})}
    task_id = f"{row.pk[:200]}-{uuid.uuid4().hex[:8]}"
    picture = generate.s(row.model or row.api_path, input, **call).set(task_id=task_id)
    again = Generation(
        pk=task_id,
        again_of=row,
        state=State.WAITING,
        model=row.model,
        api_path=row.api_path,
        profile=row.profile,
        metadata=row.metadata,
        prompt=str(input.get(prompt_field(row)) or ""),
        input=input,
        created_at=timezone.now(),
        mirrored_at=timezone.now(),
    )
    with transaction.atomic():
        again.save(force_insert=True)
        followers = [picture.app.signature(step) for step in row.following]
        send_on_commit(chain(picture, *(followers or [download.s()])))
    return again


def prompt_field(row: Generation) -> str:
    """Return the name of the field of the input that has the prompt."""
    try:
        return catalog.find(row.model or row.api_path).prompt_field
    except InputError:
        return "prompt"


def cost_of(row: Generation) -> tuple[Decimal, int]:
    """Return what generating a row again costs in US dollars, and 1 if its price is unknown."""
    try:
        found = estimate(row.model or row.api_path, [row.input or {}])
    except InputError:
        return Decimal(0), 1
    return found.usd, found.unpriced


def cost_text(costs: Iterable[tuple[Decimal, int]]) -> str:
    """Return the sum of costs: ``0.15 USD (estimate), and 2 without a known price``."""
    amounts, counts = zip((Decimal(0), 0), *costs, strict=True)
    usd, unpriced = sum(amounts), sum(counts)
    more = f"{unpriced} without a known price" if unpriced else ""
    known = f"{format_usd(usd)} (estimate)" if usd or not unpriced else ""
    return ", and ".join(part for part in (known, more) if part)
