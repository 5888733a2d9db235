"""Repeat the generation of a row, with the tasks that followed it in its chain."""

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
    """Start another generation with the input of a row. The API charges it again.

    The tasks that followed the first generation in its chain, such as ``attach``, follow the new one; if there
    were none, ``download`` does.

    :param prompt: another prompt; None: the same.
    :returns: the row of the new generation, which refers to the given row (``again_of``).
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
    """Return the name of the field that contains the prompt in the input."""
    try:
        return catalog.find(row.model or row.api_path).prompt_field
    except InputError:
        return "prompt"


def cost_of(row: Generation) -> tuple[Decimal, int]:
    """Return the estimated cost of repeating a row in US dollars, and 1 if the price is unknown, else 0."""
    try:
        found = estimate(row.model or row.api_path, [row.input or {}])
    except InputError:
        return Decimal(0), 1
    return found.usd, found.unpriced


def cost_text(costs: Iterable[tuple[Decimal, int]]) -> str:
    """Return the sum of results of :func:`cost_of`: ``0.15 USD (estimate), and 2 without a known price``."""
    amounts, counts = zip((Decimal(0), 0), *costs, strict=True)
    usd, unpriced = sum(amounts), sum(counts)
    more = f"{unpriced} without a known price" if unpriced else ""
    known = f"{format_usd(usd)} (estimate)" if usd or not unpriced else ""
    return ", and ".join(part for part in (known, more) if part)
